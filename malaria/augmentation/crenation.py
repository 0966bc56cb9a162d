"""crenation: cells with a rim of spikes and a mottled surface (echinocytes), from smooth ones.

Cells crenate where a smear dries slowly or its stain has another pH. It says nothing of a parasite.
"""

import numpy as np

from malaria.augmentation.draws import Draws
from malaria.augmentation.geometry import sample_between
from malaria.augmentation.random_changes import (
    Amounts,
    change,
    choose,
    corners_of,
    radii_of,
    surround_of,
)
from malaria.augmentation.resampling import resample, weights_of
from malaria.networks.backend import tf

FEWEST, MOST = 8, 25
# How deep it is between two spikes, in radii of the cell.
SHALLOW, DEEP = 0.06, 0.28
# The rim moves, and from there to the middle less and less, in half sides of the image.
STILL, RIM = 0.5, 0.9
# Light and dark patches a side, and by how much they change the optical density.
PATCHES, MOTTLE = 10, 0.1


@change("crenation")
def crenate(images: tf.Tensor, amounts: Amounts, draws: Draws) -> tf.Tensor:
    """Give that share of the cells a rim of FEWEST to MOST spikes and a mottled surface."""
    of_rim, of_surface, of_choice = draws.split(3)
    corners = corners_of(images)
    spiked = corners + _draw_in(images - corners, of_rim.uniform(5, 1, 1))
    return choose(of_choice.bernoulli(amounts["crenation"]), _mottle(spiked, of_surface), images)


# Compiled, since a CPU else reads and writes the images again for each of these operations.
@tf.function(jit_compile=True, autograph=False)
def _draw_in(images: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
    """The images with their rims drawn towards the middle but at the spikes.

    numbers: (n, 5, 1, 1), at random, 0..1.
    """
    height, width = images.shape[1:3]
    rows, columns = (np.linspace(-1, 1, side, dtype=np.float32) for side in (height, width))
    angle = np.arctan2(rows[:, None], columns).astype(np.float32)
    count, closer, where, turn, depth = tf.unstack(numbers, axis=1)
    spikes = tf.floor(FEWEST + (MOST + 1 - FEWEST) * count)
    # Spikes stand closer on one side than on the other.
    wobble = closer * tf.sin(2 * angle + 2 * np.pi * where)
    between = tf.sqrt(tf.abs(tf.sin(spikes * angle / 2 + wobble + np.pi * turn)))
    scale = 1 + (SHALLOW + (DEEP - SHALLOW) * depth) * between * _nearness_to_rim(images) ** 2
    x = (columns * scale + 1) * (width - 1) / 2
    y = (rows[:, None] * scale + 1) * (height - 1) / 2
    return sample_between(images, x, y)


def _nearness_to_rim(images: tf.Tensor) -> np.ndarray:
    """0 in the middle to 1 at the rim and beyond, (height, width), float32."""
    return ((radii_of(images) - STILL) / (RIM - STILL)).clip(0, 1).astype(np.float32)


def _mottle(images: tf.Tensor, draws: Draws) -> tf.Tensor:
    """The cells with more optical density here and less there."""
    ways = [weights_of(PATCHES, side, (side, PATCHES)) for side in images.shape[1:3]]
    of_amount, of_patches = draws.split(2)
    amount = of_amount.uniform(1, 1, 1, high=MOTTLE)
    patches = tf.clip_by_value(resample(of_patches.normal(PATCHES, PATCHES, 1), *ways), -2.0, 2.0)
    amount *= (1 - _nearness_to_rim(images))[..., None]
    mottled = tf.pow(tf.maximum(images, 1e-3), 1 + amount * patches)
    return tf.where(surround_of(images), images, tf.clip_by_value(mottled, 0.0, 1.0))
