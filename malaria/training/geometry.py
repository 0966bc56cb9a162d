"""geometry: random changes that move the pixels of training images."""

from collections.abc import Sequence

import numpy as np

from malaria.networks.backend import tf
from malaria.training.random_changes import Amounts, corners_of, either_way, move

# In the order in which their random numbers are drawn.
DISTORTIONS = ("rotation", "shear", "zoom", "aspect_ratio")


@move("flips", "quarter_turns", between_pixels=False)
def symmetries(amounts: Amounts, count: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Random flips and quarter turns, as (count, 2, 2) matrices of 0, 1 and -1."""
    numbers = tf.random.stateless_uniform((3, count), seed)
    turn = tf.floor(4 * numbers[2]) if amounts["quarter_turns"] else tf.zeros(count)
    cosine, sine = tf.round(tf.cos(turn * np.pi / 2)), tf.round(tf.sin(turn * np.pi / 2))
    mirror = tf.sign(numbers[:2] - 0.5) if amounts["flips"] else tf.ones((2, count))
    # A number of exactly one half would have no sign.
    mirror = tf.where(mirror == 0, 1.0, mirror)
    rows = [[mirror[0] * cosine, -mirror[0] * sine], [mirror[1] * sine, mirror[1] * cosine]]
    return tf.transpose(tf.stack([tf.stack(row) for row in rows]), (2, 0, 1))


@move(*DISTORTIONS, between_pixels=True)
def distortions(amounts: Amounts, count: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Random rotation, shear, zoom and aspect ratio, as (count, 2, 2) matrices, output to input."""
    limits = tf.constant([amounts[name] for name in DISTORTIONS], tf.float32)
    limits *= tf.constant([np.pi / 180, 1, 1, 1], tf.float32)
    angle, shear, zoom, ratio = tf.unstack(either_way(limits[:, None], (4, count), seed))
    cosine, sine = tf.cos(angle) / (1 + zoom), tf.sin(angle) / (1 + zoom)
    # The shear moves x by a share of y; the ratio widens and flattens, or the reverse.
    wide, high = 1 / tf.sqrt(1 + ratio), tf.sqrt(1 + ratio)
    rows = [
        [wide * cosine, wide * (cosine * shear - sine)],
        [high * sine, high * (sine * shear + cosine)],
    ]
    return tf.transpose(tf.stack([tf.stack(row) for row in rows]), (2, 0, 1))


def move_images(images: tf.Tensor, matrices: Sequence[tf.Tensor], between: bool) -> tf.Tensor:
    """The images moved by the product of the matrices.

    between: whether pixels come to lie between others; if not, each keeps its value. What comes in
    at the edges has the colour of the corners: black about a cell on black, else the background.
    """
    product = matrices[0]
    for matrix in matrices[1:]:
        product = product @ matrix
    corners = corners_of(images)
    return corners + transform(images - corners, product, "BILINEAR" if between else "NEAREST")


def transform(
    images: tf.Tensor, matrices: tf.Tensor, interpolation: str, shift: tf.Tensor | float = 0.0
) -> tf.Tensor:
    """Move each image about its centre by its matrix, output to input; what comes in is 0.

    shift: (n, 2), pixels to the right and down by which the output is moved besides.
    """
    shape = tf.shape(images)
    centre = tf.cast(tf.stack([shape[2], shape[1]]) - 1, tf.float32) / 2
    offset = centre - tf.linalg.matvec(matrices, centre + tf.zeros((shape[0], 2)) + shift)
    ends = tf.zeros((shape[0], 2))
    rows = [matrices[:, 0], offset[:, :1], matrices[:, 1], offset[:, 1:], ends]
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.concat(rows, axis=1),
        output_shape=shape[1:3],
        fill_value=0.0,
        interpolation=interpolation,
        fill_mode="CONSTANT",
    )
    # The sides stay known while the graph is made.
    return tf.ensure_shape(moved, images.shape)
