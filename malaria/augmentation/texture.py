"""texture: random losses of detail in training images, as microscopes and cameras have them."""

import numpy as np

from malaria.augmentation.draws import Draws
from malaria.augmentation.random_changes import Amounts, change, choose
from malaria.augmentation.resampling import resample, weights_of
from malaria.networks.backend import tf

# Binomial, which is a Gaussian of deviation 1 pixel, down and across.
BLUR = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)
# The side of the squares that JPEG compresses, pixels.
SQUARE = 8
# JPEG's own table for light (ITU-T T.81, annex K.1): by how much each frequency is rounded.
ROUNDING = np.array(
    [
        *((16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55)),
        *((14, 13, 16, 24, 40, 57, 69, 56), (14, 17, 22, 29, 51, 87, 80, 62)),
        *((18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92)),
        *((49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99)),
    ]
)
# The factors on that table at JPEG's qualities 90 and 30.
FINE, COARSE = 0.2, 5 / 3


@change("blur")
def blur(images: tf.Tensor, amounts: Amounts, draws: Draws) -> tf.Tensor:
    """Mix each image with itself blurred by BLUR, by a random share of at most the amount."""
    blurred = resample(images, *[_blurring(side) for side in images.shape[1:3]])
    share = draws.uniform(1, 1, 1, high=amounts["blur"])
    return images + share * (blurred - images)


def _blurring(side: int) -> tf.Tensor:
    """The weights, (side, side), that BLUR gives the neighbours of each pixel; edges mirror."""
    neighbours = np.pad(np.arange(side), len(BLUR) // 2, "symmetric")
    weights = np.zeros((side, side), np.float32)
    for place, weight in enumerate(BLUR):
        weights[np.arange(side), neighbours[place : place + side]] += weight
    return tf.constant(weights)


@change("resolution")
def coarsen(images: tf.Tensor, amounts: Amounts, draws: Draws) -> tf.Tensor:
    """Make half of the images smaller by at most that share, and as large again; a batch alike."""
    of_scale, of_choice = draws.split(2)
    scale = 1 - of_scale.batch_uniform(0.0, amounts["resolution"])
    ways = [_down_and_up(scale, side) for side in images.shape[1:3]]
    return choose(of_choice.bernoulli(0.5), resample(images, *ways), images)


def _down_and_up(scale: tf.Tensor, side: int) -> tf.Tensor:
    """The weights, (side, side), by which `side` pixels become fewer and as many again."""
    small, shape = tf.maximum(1.0, tf.floor(scale * side)), (side, side)
    return weights_of(small, side, shape) @ weights_of(side, small, shape)


@change("jpeg")
def compress(images: tf.Tensor, amounts: Amounts, draws: Draws) -> tf.Tensor:
    """Round that share of the images as JPEG does at a quality of 30 to 90; all channels alike."""
    of_quality, of_choice = draws.split(2)
    height, width = images.shape[1:3]
    edges = [[0, 0], [0, -height % SQUARE], [0, -width % SQUARE], [0, 0]]
    padded = tf.pad(images, edges, "SYMMETRIC")
    squares = [side // SQUARE for side in padded.shape[1:3]]
    ways = [_cosines(count) for count in squares]
    table = np.tile(ROUNDING / 255, squares)[..., None].repeat(3, axis=-1)
    steps = of_quality.uniform(1, 1, 1, low=FINE, high=COARSE) * tf.constant(table, tf.float32)
    waves = tf.round(resample(padded, *ways) / steps) * steps
    rounded = resample(waves, *[tf.transpose(way) for way in ways])[:, :height, :width]
    return choose(of_choice.bernoulli(amounts["jpeg"]), tf.clip_by_value(rounded, 0.0, 1.0), images)


def _cosines(squares: int) -> tf.Tensor:
    """The orthonormal discrete cosine transform of that many squares in a row, a matrix.

    A row of it for each frequency of each square; its inverse is its transpose.
    """
    places = np.arange(SQUARE)
    waves = np.cos(np.pi / SQUARE * (places + 0.5) * places[:, None]) * np.sqrt(2 / SQUARE)
    waves[0] /= np.sqrt(2)
    return tf.constant(np.kron(np.eye(squares), waves), tf.float32)
