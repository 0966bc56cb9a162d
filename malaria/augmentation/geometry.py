"""geometry: random changes that move the pixels of training images."""

from collections.abc import Sequence

import numpy as np

from malaria.augmentation.draws import Draws
from malaria.augmentation.random_changes import Amounts, corners_of, move
from malaria.networks.backend import tf

# In the order in which their random numbers are drawn.
DISTORTIONS = ("rotation", "shear", "zoom", "aspect_ratio")


@move("flips", "quarter_turns", between_pixels=False)
def symmetries(amounts: Amounts, draws: Draws) -> tf.Tensor:
    """Random flips and quarter turns, as (n, 2, 2) matrices of 0, 1 and -1."""
    across, down, quarter = tf.unstack(draws.uniform(3), axis=1)
    turn = tf.floor(4 * quarter) * float(bool(amounts["quarter_turns"]))
    cosine, sine = tf.round(tf.cos(turn * np.pi / 2)), tf.round(tf.sin(turn * np.pi / 2))
    mirrors = [
        tf.where(number < 0.5, -1.0, 1.0) if amounts["flips"] else tf.ones_like(number)
        for number in (across, down)
    ]
    rows = [[mirrors[0] * cosine, -mirrors[0] * sine], [mirrors[1] * sine, mirrors[1] * cosine]]
    return _matrices(rows)


@move(*DISTORTIONS, between_pixels=True)
def distortions(amounts: Amounts, draws: Draws) -> tf.Tensor:
    """Random rotation, shear, zoom and aspect ratio, as (n, 2, 2) matrices, output to input."""
    limits = tf.constant([amounts[name] for name in DISTORTIONS], tf.float32)
    limits *= tf.constant([np.pi / 180, 1, 1, 1], tf.float32)
    angle, shear, zoom, ratio = tf.unstack(draws.symmetric_uniform(limits), axis=1)
    cosine, sine = tf.cos(angle) / (1 + zoom), tf.sin(angle) / (1 + zoom)
    # The shear moves x by a share of y; the ratio widens and flattens, or the reverse.
    wide, high = 1 / tf.sqrt(1 + ratio), tf.sqrt(1 + ratio)
    rows = [
        [wide * cosine, wide * (cosine * shear - sine)],
        [high * sine, high * (sine * shear + cosine)],
    ]
    return _matrices(rows)


def _matrices(rows: Sequence[Sequence[tf.Tensor]]) -> tf.Tensor:
    """Rows of (n,) tensors -> (n, 2, 2)."""
    return tf.stack([tf.stack(row, axis=-1) for row in rows], axis=1)


def move_images(images: tf.Tensor, matrices: Sequence[tf.Tensor], between: bool) -> tf.Tensor:
    """The images moved by the product of the matrices.

    between: whether pixels come to lie between others; if not, each keeps its value. What comes in
    at the edges has the colour of the corners: black about a cell on black, else the background.
    """
    product = matrices[0]
    for matrix in matrices[1:]:
        # Not by `@`, which a GPU computes with three digits (TF32): pixels would move.
        product = tf.reduce_sum(product[..., None] * matrix[:, None], axis=2)
    corners = corners_of(images)
    return corners + _transform(images - corners, product, between=between)


# Compiled by XLA it takes 0.6 of the time of TensorFlow's ImageProjectiveTransformV3 on a CPU,
# which computes the places anew for each channel; not compiled, twice its time.
@tf.function(jit_compile=True, autograph=False)
def _transform(images: tf.Tensor, matrices: tf.Tensor, *, between: bool) -> tf.Tensor:
    """Move each image about its centre by its matrix, output to input; what comes in is 0."""
    height, width = images.shape[1:3]
    rows = tf.range(height, dtype=tf.float32) - (height - 1) / 2
    columns = tf.range(width, dtype=tf.float32) - (width - 1) / 2
    x, y = (
        matrices[:, row, 0, None, None] * columns[None, None, :]
        + matrices[:, row, 1, None, None] * rows[None, :, None]
        + (side - 1) / 2
        for row, side in ((0, width), (1, height))
    )
    if not between:
        return pixels_at(images, tf.round(x), tf.round(y))
    return sample_between(images, x, y)


def sample_between(images: tf.Tensor, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """The images at columns x and rows y, bilinear between pixels; as `pixels_at` else."""
    left, top = tf.floor(x), tf.floor(y)
    right_share, low_share = (x - left)[..., None], (y - top)[..., None]
    upper, lower = (
        (1 - right_share) * pixels_at(images, left, row)
        + right_share * pixels_at(images, left + 1, row)
        for row in (top, top + 1)
    )
    return (1 - low_share) * upper + low_share * lower


def pixels_at(images: tf.Tensor, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """The pixels at whole columns x and rows y, together (n, height, width); 0 outside the image.

    x and y: each of that shape, or 1 in place of what it does not depend on.
    """
    shape = tf.shape(images)
    height, width, channels = images.shape[1:]
    is_inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    places = tf.clip_by_value(y, 0, height - 1) * width + tf.clip_by_value(x, 0, width - 1)
    rows = tf.reshape(images, (shape[0], height * width, channels))
    found = tf.gather(rows, tf.reshape(tf.cast(places, tf.int32), (shape[0], -1)), batch_dims=1)
    return tf.where(is_inside[..., None], tf.reshape(found, shape), 0.0)


def offsets_aside(images: tf.Tensor, near: float, far: float, draws: Draws) -> tf.Tensor:
    """near to far sides into any direction, whole pixels to the right and down, (n, 2)."""
    numbers = draws.uniform(2)
    angle, distance = 2 * np.pi * numbers[:, 0], near + (far - near) * numbers[:, 1]
    sides = tf.constant([images.shape[2], images.shape[1]], tf.float32)
    return tf.round(tf.stack([tf.cos(angle), tf.sin(angle)], axis=1) * distance[:, None] * sides)


def shift(images: tf.Tensor, offsets: tf.Tensor) -> tf.Tensor:
    """Each image moved by its offset, (n, 2), whole pixels to the right and down; 0 comes in."""
    height, width = images.shape[1:3]
    x = tf.range(width, dtype=tf.float32)[None, None, :] - offsets[:, 0, None, None]
    y = tf.range(height, dtype=tf.float32)[None, :, None] - offsets[:, 1, None, None]
    return pixels_at(images, x, y)
