"""augmentation: random changes to a batch of images, for training only."""

import numpy as np

from malaria.networks.backend import tf

# The augmentations that move a pixel to between others.
DISTORTIONS = ("rotation", "shear", "zoom", "stretch")
# Binomial, which is a Gaussian of deviation 1 pixel.
BLUR = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]).astype(np.float32) / 256
# Up to this, 0..1, in every channel a pixel is surround, not cell.
SURROUND = 0.02


def to_float(images):
    """Grey levels 0..255 -> float32, 0..1, as classifying does by the passport's scale."""
    return tf.cast(images, tf.float32) / 255


def augment(images, augmentation, *, seed):
    """Change a batch at random: (n, height, width, 3), 0..255 -> the same shape, float32, 0..1.

    augmentation: a config's; each of its numbers is the most, in either direction where there are
    two. seed: two integers, which fix the result.
    """
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 5))
    count = tf.shape(images)[0]
    images = to_float(images)
    distorts = any(getattr(augmentation, name) for name in DISTORTIONS)
    if augmentation.flips or augmentation.quarter_turns or distorts:
        matrices = symmetries(augmentation, count, seeds[0])
        if distorts:
            matrices = matrices @ distortions(augmentation, count, seeds[1])
        # Symmetries only move pixels: each comes from one place, and keeps its value.
        images = transform(images, matrices, "BILINEAR" if distorts else "NEAREST")
    if augmentation.brightness or augmentation.stain:
        images = tint(images, augmentation, seeds[2])
    if augmentation.blur:
        images = blur(images, augmentation.blur, seeds[3])
    if augmentation.background:
        images = fill_surround(images, augmentation.background, seeds[4])
    return images


def symmetries(augmentation, count, seed):
    """Random flips and quarter turns, as (count, 2, 2) matrices of 0, 1 and -1."""
    numbers = tf.random.stateless_uniform((3, count), seed)
    turn = tf.floor(4 * numbers[2]) if augmentation.quarter_turns else tf.zeros(count)
    cosine, sine = tf.round(tf.cos(turn * np.pi / 2)), tf.round(tf.sin(turn * np.pi / 2))
    mirror = tf.sign(numbers[:2] - 0.5) if augmentation.flips else tf.ones((2, count))
    # A number of exactly one half would have no sign.
    mirror = tf.where(mirror == 0, 1.0, mirror)
    rows = [[mirror[0] * cosine, -mirror[0] * sine], [mirror[1] * sine, mirror[1] * cosine]]
    return tf.transpose(tf.stack([tf.stack(row) for row in rows]), (2, 0, 1))


def distortions(augmentation, count, seed):
    """Random rotation, shear, zoom and stretch, as (count, 2, 2) matrices, output to input."""
    limits = tf.constant([getattr(augmentation, name) for name in DISTORTIONS], tf.float32)
    limits *= tf.constant([np.pi / 180, 1, 1, 1], tf.float32)
    angle, shear, zoom, stretch = tf.unstack(_either_way(limits[:, None], (4, count), seed))
    cosine, sine = tf.cos(angle) / (1 + zoom), tf.sin(angle) / (1 + zoom)
    # The shear moves x by a share of y; the stretch widens and flattens, or the reverse.
    wide, high = 1 / tf.sqrt(1 + stretch), tf.sqrt(1 + stretch)
    rows = [
        [wide * cosine, wide * (cosine * shear - sine)],
        [high * sine, high * (sine * shear + cosine)],
    ]
    return tf.transpose(tf.stack([tf.stack(row) for row in rows]), (2, 0, 1))


def transform(images, matrices, interpolation):
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


def tint(images, augmentation, seed):
    """Multiply all channels by one factor (brightness) and each by its own (stain).

    Black stays black: the surround of a cell tells nothing of its stain.
    """
    limits = tf.constant([augmentation.brightness] + [augmentation.stain] * 3)
    factors = 1 + _either_way(limits, (tf.shape(images)[0], 4), seed)
    return tf.clip_by_value(images * (factors[:, :1] * factors[:, 1:])[:, None, None], 0.0, 1.0)


def blur(images, limit, seed):
    """Mix each image with itself blurred by BLUR, by a random share of at most `limit`."""
    kernel = tf.tile(tf.constant(BLUR)[:, :, None, None], (1, 1, 3, 1))
    blurred = tf.nn.depthwise_conv2d(images, kernel, (1, 1, 1, 1), "SAME")
    share = tf.random.stateless_uniform((tf.shape(images)[0], 1, 1, 1), seed, 0.0, limit)
    return images + share * (blurred - images)


def fill_surround(images, share, seed):
    """Give that share of the images a light surround in place of the black one."""
    count = tf.shape(images)[0]
    numbers = tf.random.stateless_uniform((count, 4), seed)
    colour = 0.75 + 0.25 * numbers[:, None, None, 1:]
    is_chosen = (numbers[:, 0] < share)[:, None, None, None]
    is_surround = tf.reduce_max(images, axis=-1, keepdims=True) <= SURROUND
    return tf.where(is_chosen & is_surround, colour, images)


def _either_way(limits, shape, seed):
    """Uniform numbers between -limits and limits."""
    return limits * tf.random.stateless_uniform(shape, seed, -1.0, 1.0)
