"""load_model: a network from a saved pair, which may come from a stranger.

What its .json asks for is checked before anything is built, measured before anything is allocated,
and what its .h5 holds is checked before it is read.
"""

import logging
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from malaria.base.errors import UserError
from malaria.networks.backend import keras
from malaria.networks.cost import Cost, cost_of
from malaria.networks.rebuild import rebuild
from malaria.networks.vocabulary import check_architecture
from malaria.networks.weight_files import (
    MAX_BYTES_PER_STORED_BYTE,
    SPARE_BYTES,
    load_weights,
    stored_bytes,
)
from malaria.networks.weights import reason_of
from malaria.saved.pair import Architecture, Pair

# XResNet34 has 138 layers.
MAX_LAYERS = 1000
# The keys of the .json that describe the network.
_OUTERMOST = ("module", "class_name", "config", "registered_name")


def load_model(pair: Pair, architecture: Architecture) -> keras.Model:
    """The network of `pair`, float32, ready to predict; `architecture` is what its .json says.

    Takes (n, height, width, 3), float32; returns (n, k) of one sigmoid or k softmax outputs.
    Raises UserError if the .json asks for anything but plain Keras layers or for more memory
    than its .h5 can fill, and if the .h5 is damaged or belongs to another .json.
    """
    # The metadata and the record of the training are no part of the network.
    asked = {key: architecture[key] for key in _OUTERMOST if key in architecture}
    with silence():
        try:
            check_architecture(asked)
            _check_room(pair, *_measure(asked))
            model = rebuild(asked)
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


def _measure(architecture: Architecture) -> tuple[int, Cost]:
    """(parameters, cost of one image) of the network, without allocating them."""
    # Keras keeps a list, one a thread, of variables it has yet to allocate. In a thread of its
    # own a giant that is refused below is forgotten; here the next model would allocate it.
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(_count, architecture).result()


def _count(architecture: Architecture) -> tuple[int, Cost]:
    config = architecture["config"]
    entries = config["layers"] if isinstance(config, dict) else config
    if len(entries) > MAX_LAYERS:
        raise UserError(f"expected at most {MAX_LAYERS} layers, received {len(entries)}")
    with keras.StatelessScope(initialize_variables=False):
        model = rebuild(architecture)
        _check_ends(model.inputs, model.outputs)
        return model.count_params(), cost_of(model)


def _check_ends(inputs: list[Any], outputs: list[Any]) -> None:
    starts, ends = [tuple(x.shape) for x in inputs], [tuple(x.shape) for x in outputs]
    [batch, *sides, channels] = starts[0]
    fits = len(starts) == len(ends) == 1 and len(ends[0]) == len(sides) == 2
    if not fits or channels not in (1, 3) or batch is not None or None in sides:
        raise UserError(
            "expected one input (None, height, width, 3 or 1) and one output (None, k), "
            f"received {starts[:3]} and {ends[:3]}"
        )


def _check_room(pair: Pair, parameters: int, cost: Cost) -> None:
    stored = stored_bytes(pair)
    if 4 * parameters > MAX_BYTES_PER_STORED_BYTE * stored + SPARE_BYTES:
        raise UserError(
            f"does not belong to {pair.weights.name}: the network has more weights "
            f"than the {stored:,} bytes of that file can hold"
        )
    cost.check()


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
