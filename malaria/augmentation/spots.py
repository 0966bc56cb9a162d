"""spots: what lies on a cell and is no parasite: refractile spots, folds, grains, platelets."""

import numpy as np

from malaria.augmentation.draws import Draws
from malaria.augmentation.random_changes import Amounts, change, choose, surround_of
from malaria.networks.backend import tf

# At most so many spots, and so many grains, on one image.
SPOTS, GRAINS = 3, 6
# Radii in half sides of the image.
SPOT_RADII, GRAIN_RADII, PLATELET_RADII = (0.04, 0.18), (0.03, 0.09), (0.15, 0.3)
# In place of the squared distance to a blob that is not there.
FAR_AWAY = 1e3
# The optical densities of azure B and eosin in red, green and blue, as dark as a grain is at most.
PURPLE = (1.0, 1.5, 0.6)


@change("spots")
def add_spots(images: tf.Tensor, amounts: Amounts, draws: Draws) -> tf.Tensor:
    """Put bright spots with a dark rim, as of water or air, or a fold on that share of images."""
    of_spots, of_fold, of_kind, of_choice = draws.split(4)
    bright, dark = _spots(images, of_spots)
    ridge, groove = _fold(images, of_fold)
    is_fold = of_kind.bernoulli(0.3)
    bright, dark = tf.where(is_fold, ridge, bright), tf.where(is_fold, groove, dark)
    changed = images * (1 - 0.5 * dark)
    changed += bright * (1 - changed)
    is_changed = of_choice.bernoulli(amounts["spots"])
    return choose(is_changed, tf.where(surround_of(images), images, changed), images)


@change("grains")
def add_grains(images: tf.Tensor, amounts: Amounts, draws: Draws) -> tf.Tensor:
    """Put grains of stain, or one platelet, on or beside the cell, on that share of images."""
    of_grains, of_platelet, of_colour, of_kind, of_choice = draws.split(5)
    grains = _sharp(_squares(images, of_grains, GRAINS, GRAIN_RADII))
    platelet = 0.5 * tf.exp(-_squares(images, of_platelet, 1, PLATELET_RADII))
    shape = tf.where(of_kind.bernoulli(0.4), platelet, grains)
    colour = tf.constant(PURPLE) * of_colour.uniform(1, 1, 3, low=0.6, high=1.0)
    changed = images * tf.exp(-shape * colour)
    is_changed = of_choice.bernoulli(amounts["grains"])
    return choose(is_changed, tf.where(surround_of(images), images, changed), images)


def _spots(images: tf.Tensor, draws: Draws) -> tuple[tf.Tensor, tf.Tensor]:
    """How bright the spots are and how dark their rims, each (n, height, width, 1), 0..1."""
    of_light, of_places = draws.split(2)
    squares = _squares(images, of_places, SPOTS, SPOT_RADII)
    # With its rim a spot is half as wide again.
    spots, with_rims = _sharp(squares), _sharp(squares / 1.5**2)
    light = of_light.uniform(1, 1, 1, low=0.3, high=0.95)
    return light * spots, with_rims - spots


def _fold(images: tf.Tensor, draws: Draws) -> tuple[tf.Tensor, tf.Tensor]:
    """The light and the dark side of a line across the cell, each (n, height, width, 1), 0..1."""
    x, y = _places(images)
    numbers = tf.unstack(draws.uniform(4, 1, 1, 1), axis=1)
    angle, width = 2 * np.pi * numbers[0], 0.03 + 0.06 * numbers[1]
    across = x * tf.cos(angle) + y * tf.sin(angle) - 0.8 * (numbers[2] - 0.5)
    sides = [tf.exp(-(((across + side * width) / width) ** 2)) for side in (1, -1)]
    on_cell = tf.cast(x**2 + y**2 < 0.8, tf.float32)
    return (0.2 + 0.6 * numbers[3]) * sides[0] * on_cell, sides[1] * on_cell


def _sharp(squares: tf.Tensor) -> tf.Tensor:
    """Blobs with a narrow edge, 0..1."""
    return tf.exp(-(squares**2))


def _squares(images: tf.Tensor, draws: Draws, count: int, radii: tuple[float, float]) -> tf.Tensor:
    """Of 1 to `count` round blobs the squared distance to the nearest, in its radii.

    (n, height, width, 1).
    """
    x, y = _places(images)
    low, high = radii
    found: list[tf.Tensor] = []
    for numbers in tf.unstack(draws.uniform(count, 4, 1, 1, 1), axis=1):
        right, down, size, chance = tf.unstack(numbers, axis=1)
        square = (x - 1.6 * (right - 0.5)) ** 2 + (y - 1.6 * (down - 0.5)) ** 2
        # The first one is always there.
        is_there = (chance < 0.5) | (not found)
        found.append(tf.where(is_there, square / (low + (high - low) * size) ** 2, FAR_AWAY))
    return tf.reduce_min(tf.stack(found), axis=0)


def _places(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """x and y of the pixels, -1..1 from side to side, (1, 1, width, 1) and (1, height, 1, 1)."""
    x, y = (tf.linspace(-1.0, 1.0, side) for side in images.shape[2:0:-1])
    return x[None, None, :, None], y[None, :, None, None]
