"""augmentation: random changes to a batch of images, for training only.

Each function below that is decorated with `move` or `change` carries out the settings that it
names; they are declared in config.Augmentation. To add one is to write one more such function.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from malaria.networks.backend import tf

# {setting: amount}: the most, in either direction where there are two; 0 and False are off.
Amounts = Mapping[str, float]
# (amounts, number of images, seed) -> (n, 2, 2) matrices, output to input.
Move = Callable[[Amounts, tf.Tensor, tf.Tensor], tf.Tensor]
# (images, amounts, seed) -> images, both (n, height, width, 3), float32, 0..1.
Change = Callable[[tf.Tensor, Amounts, tf.Tensor], tf.Tensor]


class Step(NamedTuple):
    """A function of this file, the settings it carries out, and whether pixels come to lie between.

    A step of which all settings are off is left out.
    """

    function: Callable[..., tf.Tensor]
    settings: tuple[str, ...]
    between_pixels: bool = False

    def is_on(self, amounts: Amounts) -> bool:
        """Whether one of its settings is not off."""
        return any(amounts[name] for name in self.settings)


MOVES: list[Step] = []
CHANGES: list[Step] = []
# In the order in which their random numbers are drawn.
DISTORTIONS = ("rotation", "shear", "zoom", "aspect_ratio")
# Binomial, which is a Gaussian of deviation 1 pixel.
BLUR = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]).astype(np.float32) / 256
# Up to this, 0..1, in every channel a pixel is surround, not cell.
SURROUND = 0.02


def move(*settings: str, between_pixels: bool) -> Callable[[Move], Move]:
    """Register a function that gives matrices by which images are moved about their centres."""

    def register(function: Move) -> Move:
        MOVES.append(Step(function, settings, between_pixels))
        return function

    return register


def change(*settings: str) -> Callable[[Change], Change]:
    """Register a function that changes the values of pixels; they run in the order of this file."""

    def register(function: Change) -> Change:
        CHANGES.append(Step(function, settings))
        return function

    return register


def to_float(images: tf.Tensor) -> tf.Tensor:
    """Grey levels 0..255 -> float32, 0..1, as classifying does by the metadata's scale."""
    return tf.cast(images, tf.float32) / 255


def augment(images: tf.Tensor, amounts: Amounts, *, seed: Sequence[int] | tf.Tensor) -> tf.Tensor:
    """Change a batch at random: (n, height, width, 3), 0..255 -> the same shape, float32, 0..1.

    amounts: of every setting in config.Augmentation. seed: two integers, which fix the result.
    """
    images = to_float(images)
    seeds = tf.unstack(
        tf.random.experimental.stateless_split(seed, len(MOVES) + len(CHANGES)),
        num=len(MOVES) + len(CHANGES),
    )
    moves = [(step, own) for step, own in zip(MOVES, seeds, strict=False) if step.is_on(amounts)]
    if moves:
        matrices = [step.function(amounts, tf.shape(images)[0], own) for step, own in moves]
        # Where pixels only change places, each keeps its value.
        is_between = any(step.between_pixels for step, _ in moves)
        images = transform(images, _product(matrices), "BILINEAR" if is_between else "NEAREST")
    for step, own in zip(CHANGES, seeds[len(MOVES) :], strict=True):
        if step.is_on(amounts):
            images = step.function(images, amounts, own)
    return images


def _product(matrices: Sequence[tf.Tensor]) -> tf.Tensor:
    product = matrices[0]
    for matrix in matrices[1:]:
        product = product @ matrix
    return product


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
    angle, shear, zoom, ratio = tf.unstack(_either_way(limits[:, None], (4, count), seed))
    cosine, sine = tf.cos(angle) / (1 + zoom), tf.sin(angle) / (1 + zoom)
    # The shear moves x by a share of y; the ratio widens and flattens, or the reverse.
    wide, high = 1 / tf.sqrt(1 + ratio), tf.sqrt(1 + ratio)
    rows = [
        [wide * cosine, wide * (cosine * shear - sine)],
        [high * sine, high * (sine * shear + cosine)],
    ]
    return tf.transpose(tf.stack([tf.stack(row) for row in rows]), (2, 0, 1))


def transform(images: tf.Tensor, matrices: tf.Tensor, interpolation: str) -> tf.Tensor:
    """Move each image about its centre by its matrix, output to input; what comes in is black."""
    shape = tf.shape(images)
    centre = tf.cast(tf.stack([shape[2], shape[1]]) - 1, tf.float32) / 2
    shift = centre - tf.linalg.matvec(matrices, centre)
    ends = tf.zeros((shape[0], 2))
    rows = [matrices[:, 0], shift[:, :1], matrices[:, 1], shift[:, 1:], ends]
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.concat(rows, axis=1),
        output_shape=shape[1:3],
        fill_value=0.0,
        interpolation=interpolation,
        fill_mode="CONSTANT",
    )


@change("brightness", "color_jitter")
def tint(images: tf.Tensor, amounts: Amounts, seed: tf.Tensor) -> tf.Tensor:
    """Multiply all channels by one factor (brightness) and each by its own (color_jitter).

    Black stays black: the surround of a cell tells nothing of its stain.
    """
    limits = tf.constant([amounts["brightness"]] + [amounts["color_jitter"]] * 3, tf.float32)
    factors = 1 + _either_way(limits, (tf.shape(images)[0], 4), seed)
    return tf.clip_by_value(images * (factors[:, :1] * factors[:, 1:])[:, None, None], 0.0, 1.0)


@change("blur")
def blur(images: tf.Tensor, amounts: Amounts, seed: tf.Tensor) -> tf.Tensor:
    """Mix each image with itself blurred by BLUR, by a random share of at most the amount."""
    kernel = tf.tile(tf.constant(BLUR)[:, :, None, None], (1, 1, 3, 1))
    blurred = tf.nn.depthwise_conv2d(images, kernel, (1, 1, 1, 1), "SAME")
    share = tf.random.stateless_uniform((tf.shape(images)[0], 1, 1, 1), seed, 0.0, amounts["blur"])
    return images + share * (blurred - images)


@change("background")
def fill_surround(images: tf.Tensor, amounts: Amounts, seed: tf.Tensor) -> tf.Tensor:
    """Give that share of the images a light surround in place of the black one."""
    count = tf.shape(images)[0]
    numbers = tf.random.stateless_uniform((count, 4), seed)
    colour = 0.75 + 0.25 * numbers[:, None, None, 1:]
    is_chosen = (numbers[:, 0] < amounts["background"])[:, None, None, None]
    is_surround = tf.reduce_max(images, axis=-1, keepdims=True) <= SURROUND
    return tf.where(is_chosen & is_surround, colour, images)


def _either_way(limits: tf.Tensor, shape: Sequence[int | tf.Tensor], seed: tf.Tensor) -> tf.Tensor:
    """Uniform numbers between -limits and limits."""
    return limits * tf.random.stateless_uniform(shape, seed, -1.0, 1.0)
