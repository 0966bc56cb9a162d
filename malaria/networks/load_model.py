"""load_model: a network from a saved pair, which may come from a stranger.

What its .json asks for is measured before anything is allocated, and what its .h5 holds is checked
before it is read.
"""

import logging
import math
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from malaria.base.errors import UserError
from malaria.networks.backend import keras
from malaria.networks.rebuild import rebuild
from malaria.networks.weight_files import (
    MAX_BYTES_PER_STORED_BYTE,
    SPARE_BYTES,
    load_weights,
    stored_bytes,
)
from malaria.networks.weights import leaves, reason_of
from malaria.saved.pair import Architecture, Pair

# Of all layers together, for one image. The original at 141 px needs 7 MB.
MAX_ACTIVATION_BYTES = 2**30
# Some seconds on two cores. VGG16 at 224 px needs 15e9, EfficientNetB7 at 600 px 37e9.
MAX_MULTIPLICATIONS = 100_000_000_000


def load_model(pair: Pair, architecture: Architecture) -> keras.Model:
    """The network of `pair`, float32, ready to predict; `architecture` is what its .json says.

    It takes (n, height, width, 3), float32. Raises UserError if the .json asks for anything but
    plain Keras layers or for more memory than its .h5 can fill, and if the .h5 is damaged or
    belongs to another .json.
    """
    with silence():
        try:
            # Keras keeps a list, one a thread, of variables it has yet to allocate. In a thread of
            # its own a giant that is refused is forgotten; here the next model would allocate it.
            with ThreadPoolExecutor(1) as executor:
                executor.submit(_measure, pair, architecture).result()
            model = rebuild(architecture)
        except UserError as error:
            raise UserError(f"{pair.architecture}: {error}") from None
        except Exception as error:
            # A stranger's settings fail inside Keras in as many ways as there are layers.
            raise UserError(
                f"{pair.architecture}: expected a network that Keras can build, "
                f"received: {reason_of(error)}"
            ) from None
        load_weights(model, pair)
    return model


def _measure(pair: Pair, architecture: Architecture) -> None:
    """Build the network without allocating it; raise UserError if it is too large, or none."""
    with keras.StatelessScope(initialize_variables=False):
        model = rebuild(architecture)
        _check_ends(model.inputs, model.outputs)
        stored = stored_bytes(pair)
        if 4 * model.count_params() > MAX_BYTES_PER_STORED_BYTE * stored + SPARE_BYTES:
            raise UserError(
                f"does not belong to {pair.weights.name}: the network has more weights "
                f"than the {stored:,} bytes of that file can hold"
            )
        outputs, multiplications = cost_of(model)
        _check_cost(4 * outputs, MAX_ACTIVATION_BYTES, "bytes")
        _check_cost(multiplications, MAX_MULTIPLICATIONS, "multiplications")


def cost_of(model: keras.Model) -> tuple[int, int]:
    """(outputs of all layers, multiplications), about, for one image. Nothing is computed."""
    outputs = multiplications = 0
    for layer in leaves(model):
        weights = layer.count_params() if isinstance(layer, keras.layers.Layer) else 0
        sides = [abs(side) for side in layer.output.shape[1:]]
        count, window = math.prod(sides), math.prod(getattr(layer, "pool_size", ()))
        outputs += count
        # Of a convolution each weight is used at every place, of a dense layer once.
        multiplications += math.prod(sides[:-1]) * weights + count * window
    return outputs, multiplications


def _check_cost(needed: int, most: int, unit: str) -> None:
    """Raise UserError if it is more than any network for cells needs."""
    if needed > most:
        raise UserError(
            f"the network needs more than the {most:,} {unit} allowed for one image; use one that "
            "takes smaller images"
        )


def _check_ends(inputs: list[Any], outputs: list[Any]) -> None:
    starts, ends = [tuple(x.shape) for x in inputs], [tuple(x.shape) for x in outputs]
    [batch, *sides, channels] = starts[0]
    fits = len(starts) == len(ends) == 1 and len(ends[0]) == len(sides) == 2
    if not fits or channels not in (1, 3) or batch is not None or None in sides:
        raise UserError(
            "expected one input (None, height, width, 3 or 1) and one output (None, k), "
            f"received {starts[:3]} and {ends[:3]}"
        )


@contextmanager
def silence() -> Iterator[None]:
    """Keep what Keras has to say about old formats off the screen."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
