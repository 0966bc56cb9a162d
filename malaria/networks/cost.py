"""cost: what a network computes and keeps for one image, from its shapes alone."""

import math
from dataclasses import dataclass

from malaria.base.errors import UserError
from malaria.networks.backend import keras

# Of all layers together, for one image. The original at 141 px needs 7 MB.
MAX_ACTIVATION_BYTES = 2**30
# Some seconds on two cores. VGG16 at 224 px needs 15e9, EfficientNetB7 at 600 px 37e9.
MAX_MULTIPLICATIONS = 100_000_000_000


@dataclass(frozen=True)
class Cost:
    """Numbers of one image: the outputs of all layers, and multiplications (about)."""

    activations: int = 0
    multiplications: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.activations + other.activations, self.multiplications + other.multiplications
        )

    def check(self) -> None:
        """Raise UserError if it is more than any network for cells needs."""
        if 4 * self.activations > MAX_ACTIVATION_BYTES:
            raise UserError(
                f"the network needs more than the {MAX_ACTIVATION_BYTES:,} bytes allowed "
                "for one image; use one that takes smaller images"
            )
        if self.multiplications > MAX_MULTIPLICATIONS:
            raise UserError(
                f"the network needs more than the {MAX_MULTIPLICATIONS:,} multiplications allowed "
                "for one image; use one that takes smaller images"
            )


def cost_of(model: keras.Model) -> Cost:
    """The Cost of a network that is built, networks within it included. Nothing is computed."""
    # Arithmetic between layers is no layer; a Sequential has none of it.
    parts = getattr(model, "operations", model.layers)
    return sum(map(_cost_of_part, parts), Cost())


def _cost_of_part(layer: keras.layers.Layer | keras.Operation) -> Cost:
    if isinstance(layer, keras.Model):
        return cost_of(layer)
    weights = layer.count_params() if isinstance(layer, keras.layers.Layer) else 0
    sides = [abs(side) for side in layer.output.shape[1:]]
    outputs, window = math.prod(sides), math.prod(getattr(layer, "pool_size", ()))
    # Of a convolution each weight is used at every place, of a dense layer once.
    places = math.prod(sides[:-1])
    return Cost(outputs, places * weights + outputs * window)
