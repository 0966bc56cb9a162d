"""overlap: another cell that lies on or under the cell of a training image."""

from malaria.augmentation.colours import DARKEST, mean_of_cell, ratio
from malaria.augmentation.draws import Draws
from malaria.augmentation.geometry import offsets_aside, shift
from malaria.augmentation.random_changes import (
    choose,
    corners_of,
    grow,
    is_masked,
    mean_of_neighbours,
    radii_of,
    surround_of,
)
from malaria.networks.backend import tf

# How far the other cell's centre lies from the image's, in sides: nearer it would hide a parasite,
# farther it would not be seen.
NEAR, FAR = 0.35, 0.85
# The other cell's stain becomes this image's by at most this factor on its densities.
MOST_TRANSFER = 2.0


def overlap(
    images: tf.Tensor, share: float, can_be_laid: tf.Tensor | None, draws: Draws
) -> tf.Tensor:
    """That share of the images with the next one's cell on or under its own, both seen through.

    can_be_laid: (n,), bool, the images whose cells may lie on others without changing what the
    label says, thus the uninfected ones; None for all. Light passes through one cell and then the
    other, so that their transmittances are multiplied, and where both lie it is dark.
    """
    of_place, of_choice = draws.split(2)
    chosen = of_choice.bernoulli(share)
    if can_be_laid is not None:
        chosen &= tf.roll(can_be_laid, 1, axis=0)[:, None, None, None]
    surround, light = grow(surround_of(images)), _light(images)
    density = -tf.math.log(tf.clip_by_value(images / light, DARKEST, 1.0))
    # A cell that fills its image.
    disc = (radii_of(images) <= 1)[None, :, :, None]
    cell = tf.cast(~surround & disc, tf.float32)
    mean = mean_of_cell(density, surround)
    factor = ratio(mean, tf.roll(mean, 1, axis=0), MOST_TRANSFER)
    other = tf.roll(tf.concat([density * cell, cell], axis=-1), 1, axis=0)
    laid = shift(other, offsets_aside(images, NEAR, FAR, of_place))
    # Beside a cell on black the other one is seen alone, in the light of the field.
    below = tf.where(surround & (laid[..., 3:] > 0.5), light, images)
    return choose(chosen, below * tf.exp(-laid[..., :3] * factor), images)


def _light(images: tf.Tensor) -> tf.Tensor:
    """The light that no cell takes away, (n, 1, 1, 3).

    That of the corners; of a cell on black the brightest in each channel, of small means, so that
    one bright pixel is none.
    """
    channels = [mean_of_neighbours(images[..., one : one + 1]) for one in range(3)]
    brightest = tf.reduce_max(tf.concat(channels, axis=-1), axis=(1, 2), keepdims=True)
    return tf.maximum(tf.where(is_masked(images), brightest, corners_of(images)), DARKEST)
