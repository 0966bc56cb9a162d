"""augment: random changes to a batch of images, for training only.

The functions that carry out its settings stand in overlap, geometry, colours, crenation, spots,
surround and texture, and run in that order.
"""

from collections.abc import Sequence

# Each registers its functions when it is imported, and in this order they run.
from malaria.augmentation import (  # noqa: F401
    colours,
    crenation,
    geometry,
    spots,
    surround,
    texture,
)
from malaria.augmentation.draws import Draws
from malaria.augmentation.geometry import move_images
from malaria.augmentation.overlap import overlap
from malaria.augmentation.random_changes import CHANGES, MOVES, Amounts
from malaria.networks.backend import tf


def to_float(images: tf.Tensor) -> tf.Tensor:
    """Grey levels 0..255 -> float32, 0..1, as classifying does by the metadata's scale."""
    return tf.cast(images, tf.float32) / 255


def augment(
    images: tf.Tensor,
    amounts: Amounts,
    *,
    seed: Sequence[int] | tf.Tensor,
    can_be_laid: tf.Tensor | None = None,
) -> tf.Tensor:
    """Change a batch at random: (n, height, width, 3), 0..255 -> the same shape, float32, 0..1.

    amounts: of every setting in augmentation_settings. seed: two integers, which fix the result.
    can_be_laid: (n,), bool, the images whose cells may lie on others; None for all.
    """
    images = to_float(images)
    draws = Draws(tf.convert_to_tensor(seed, tf.int32), tf.shape(images)[0])
    of_overlap, *parts = draws.split(1 + len(MOVES) + len(CHANGES))
    if amounts["overlap"]:
        images = overlap(images, amounts["overlap"], can_be_laid, of_overlap)
    moves = [(step, own) for step, own in zip(MOVES, parts, strict=False) if step.is_on(amounts)]
    if moves:
        matrices = [step.function(amounts, own) for step, own in moves]
        images = move_images(images, matrices, any(step.between_pixels for step, _ in moves))
    for step, own in zip(CHANGES, parts[len(MOVES) :], strict=True):
        if step.is_on(amounts):
            images = step.function(images, amounts, own)
    # A mixture of whites may round to more than white.
    return tf.clip_by_value(images, 0.0, 1.0)
