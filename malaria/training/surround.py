"""surround: random changes to what lies about the cell in training images.

Some laboratories cut their cells out and put them on black, others cut a box out of the field.
"""

import numpy as np

from malaria.networks.backend import tf
from malaria.training.colours import mean_of_cell
from malaria.training.draws import Draws
from malaria.training.geometry import transform
from malaria.training.random_changes import (
    Amounts,
    change,
    corners_of,
    grow,
    is_masked,
    surround_of,
    weigh_neighbours,
)

# How many parts of other cells come to lie beside a cell, at most, and where their centres are, in
# sides of the picture: nearer ones would lie on the cell.
NEIGHBOURS, NEAR, FAR = 2, 0.75, 1.15
# The least light, 0..1, of a background that is not another picture's.
LEAST_LIGHT = 0.7


@change("background", "mask")
def change_surround(images: tf.Tensor, amounts: Amounts, draws: Draws) -> tf.Tensor:
    """Put a share of the cells on black onto a background, and a share of the others onto black."""
    to_field, of_field, to_black, outline = draws.split(4)
    masked = is_masked(images)
    changed = images
    if amounts["background"]:
        chosen = masked & to_field.some(amounts["background"])
        changed = tf.where(chosen, _put_on_background(images, masked, of_field), changed)
    if amounts["mask"]:
        chosen = ~masked & to_black.some(amounts["mask"])
        changed = tf.where(chosen & ~_in_outline(images, outline), 0.0, changed)
    return changed


def _put_on_background(images: tf.Tensor, masked: tf.Tensor, draws: Draws) -> tf.Tensor:
    """Each cell on a light field, with parts of the batch's other cells at its sides."""
    of_light, *of_neighbours = draws.split(NEIGHBOURS + 1)
    field = _background(images, masked, of_light) * tf.ones_like(images)
    # A mask's edge is dark where the picture was made smaller: it is surround too.
    surround = grow(surround_of(images))
    mean = mean_of_cell(images, surround)
    for number, own in enumerate(of_neighbours, start=1):
        # In the colour of the cell that it lies beside: they are of one slide.
        colour = mean / tf.maximum(tf.roll(mean, number, axis=0), 0.02)
        others = tf.clip_by_value(tf.roll(images, number, axis=0) * colour, 0.0, 1.0)
        kept = tf.cast(~tf.roll(surround, number, axis=0), tf.float32)
        moved = _move_aside(tf.concat([others * kept, kept], axis=-1), own)
        field = moved[..., :3] + field * (1 - moved[..., 3:])
    share = tf.cast(~surround, tf.float32)
    # A cell's edge is not as sharp as its mask's: a pixel of it is a mixture.
    share *= 0.5 + 0.5 * weigh_neighbours(share, (1 / 3, 1 / 3, 1 / 3))
    return share * images + (1 - share) * field


def _background(images: tf.Tensor, masked: tf.Tensor, draws: Draws) -> tf.Tensor:
    """A colour for each image, (n, 1, 1, 3): of the next one's background, or at random."""
    numbers = draws.uniform(1, 1, 4)
    light = LEAST_LIGHT + (1 - LEAST_LIGHT) * numbers[..., :1]
    random = light + (1 - light) * numbers[..., 1:]
    return tf.where(tf.roll(masked, 1, axis=0), random, tf.roll(corners_of(images), 1, axis=0))


def _move_aside(images: tf.Tensor, draws: Draws) -> tf.Tensor:
    """Each image moved by between NEAR and FAR sides into any direction."""
    numbers = draws.uniform(2)
    angle, distance = 2 * np.pi * numbers[:, 0], NEAR + (FAR - NEAR) * numbers[:, 1]
    # In pixels of a picture whose sides may differ.
    sides = tf.cast(tf.stack([tf.shape(images)[2], tf.shape(images)[1]]), tf.float32)
    shift = tf.stack([tf.cos(angle), tf.sin(angle)], axis=1) * distance[:, None] * sides
    identity = tf.eye(2, batch_shape=[tf.shape(images)[0]])
    return transform(images, identity, "BILINEAR", shift)


def _in_outline(images: tf.Tensor, draws: Draws) -> tf.Tensor:
    """Which pixels lie in an ellipse about as large as the picture, (n, height, width, 1)."""
    height, width = images.shape[1:3]
    radii = draws.uniform(1, 1, 2, low=0.9, high=1.1)
    rows = tf.linspace(-1.0, 1.0, height)[None, :, None, None]
    columns = tf.linspace(-1.0, 1.0, width)[None, None, :, None]
    return (rows / radii[..., :1]) ** 2 + (columns / radii[..., 1:]) ** 2 <= 1
