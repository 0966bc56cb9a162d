"""cost: what a network computes and keeps for one image, from its shapes alone."""

import math

from malaria.base.errors import UserError
from malaria.networks.backend import keras
from malaria.networks.weights import leaves

# Of all layers together, for one image. The original at 141 px needs 7 MB.
MAX_ACTIVATION_BYTES = 2**30
# Some seconds on two cores. VGG16 at 224 px needs 15e9, EfficientNetB7 at 600 px 37e9.
MAX_MULTIPLICATIONS = 100_000_000_000


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


def check_cost(outputs: int, multiplications: int) -> None:
    """Raise UserError if it is more than any network for cells needs."""
    for needed, most, unit in (
        (4 * outputs, MAX_ACTIVATION_BYTES, "bytes"),
        (multiplications, MAX_MULTIPLICATIONS, "multiplications"),
    ):
        if needed > most:
            raise UserError(
                f"the network needs more than the {most:,} {unit} allowed for one image; use one "
                "that takes smaller images"
            )
