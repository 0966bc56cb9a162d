"""random_changes: how a random change to training images is declared, and what they share.

A function decorated with `move` or `change` carries out the settings of Augmentation that it names.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from malaria.augmentation.draws import Draws
from malaria.networks.backend import tf

# {setting: amount}: the most, in either direction where there are two; 0 and False are off.
Amounts = Mapping[str, float]
# (amounts, draws) -> (n, 2, 2) matrices, output to input.
Move = Callable[[Amounts, Draws], tf.Tensor]
# (images, amounts, draws) -> images, both (n, height, width, 3), float32, 0..1.
Change = Callable[[tf.Tensor, Amounts, Draws], tf.Tensor]


class Step(NamedTuple):
    """A registered function, its settings, and whether pixels come to lie between others."""

    function: Callable[..., tf.Tensor]
    settings: tuple[str, ...]
    between_pixels: bool = False

    def is_on(self, amounts: Amounts) -> bool:
        """Whether one of its settings is not off."""
        return any(amounts[name] for name in self.settings)


MOVES: list[Step] = []
CHANGES: list[Step] = []
# Up to this, 0..1, in every channel a pixel is surround, not cell.
SURROUND = 0.02


def move(*settings: str, between_pixels: bool) -> Callable[[Move], Move]:
    """Register a function that gives matrices by which images are moved about their centres."""
    return lambda function: _register(MOVES, Step(function, settings, between_pixels))


def change(*settings: str) -> Callable[[Change], Change]:
    """Register a function that changes the values of pixels; they run as they are registered."""
    return lambda function: _register(CHANGES, Step(function, settings))


def _register(steps: list[Step], step: Step) -> Callable[..., tf.Tensor]:
    steps.append(step)
    return step.function


def choose(chosen: tf.Tensor, changed: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    """Those images changed that are chosen, (n, 1, 1, 1), bool, and the others as they are."""
    # A CPU needs ten times as long where tf.where spreads the choice over the pixels.
    return tf.compat.v1.where(chosen[:, 0, 0, 0], changed, images)


def surround_of(images: tf.Tensor) -> tf.Tensor:
    """The pixels that are black surround, (n, height, width, 1), bool."""
    return tf.reduce_max(images, axis=-1, keepdims=True) <= SURROUND


def corners_of(images: tf.Tensor) -> tf.Tensor:
    """The colour that at least two of the four corners are as light as, (n, 1, 1, 3)."""
    corners = tf.stack([images[:, row, column] for row in (0, -1) for column in (0, -1)])
    # The mean of the middle two of four: one corner may hold a neighbour.
    ends = tf.reduce_min(corners, axis=0) + tf.reduce_max(corners, axis=0)
    return (0.5 * (tf.reduce_sum(corners, axis=0) - ends))[:, None, None]


def is_masked(images: tf.Tensor) -> tf.Tensor:
    """The images that show a cell on black, (n, 1, 1, 1), bool."""
    return tf.reduce_max(corners_of(images), axis=-1, keepdims=True) <= SURROUND


def radii_of(images: tf.Tensor) -> np.ndarray:
    """How far each pixel lies from the middle, in half sides, (height, width)."""
    rows, columns = (np.linspace(-1, 1, side) for side in images.shape[1:3])
    return np.hypot(rows[:, None], columns)


def mean_of_neighbours(values: tf.Tensor) -> tf.Tensor:
    """Each of (n, height, width, 1) as the mean of the 3 x 3 about it; the edges mirror."""
    # With one channel this takes a seventh of pooling's time on a CPU.
    return _along_sides(values, lambda slices: tf.add_n(slices) / 3)


def grow(mask: tf.Tensor) -> tf.Tensor:
    """The mask, (n, height, width, 1), bool, larger by one pixel on every side."""
    return _along_sides(mask, lambda slices: slices[0] | slices[1] | slices[2])


def _along_sides(images: tf.Tensor, join: Callable[[list[tf.Tensor]], tf.Tensor]) -> tf.Tensor:
    """join(the images moved by -1, 0 and 1 pixels), first down, then across."""
    height, width = images.shape[1:3]
    padded = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
    rows = join([padded[:, place : place + height] for place in range(3)])
    return join([rows[:, :, place : place + width] for place in range(3)])
