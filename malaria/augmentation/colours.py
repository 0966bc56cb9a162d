"""colours: random changes to the light and the stain of training images."""

import numpy as np

from malaria.augmentation.draws import Draws
from malaria.augmentation.random_changes import Amounts, change, choose, surround_of
from malaria.networks.backend import tf

# The optical densities in red, green and blue of haematoxylin, eosin and diaminobenzidine, each of
# length 1, a row each: Ruifrok and Johnston, "Quantification of histochemical staining by color
# deconvolution", Analytical and Quantitative Cytology and Histology 23 (2001) 291-299.
STAINS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
# The darkest that has an optical density: one grey level.
DARKEST = 1 / 255
# A stain is taken over by at most this factor, or its inverse.
MOST_TRANSFER = 2.5
# The share of an image's half side in which its cell's colour is taken.
INNER = 0.7


@change("stain_transfer", "stain_jitter", "stain_mixing", "stain_strength", "paling")
def stain(images: tf.Tensor, amounts: Amounts, draws: Draws) -> tf.Tensor:
    """Change the optical densities: take another cell's, then each stain more or less, and so on.

    Light that passes through a stain falls off exponentially with its amount (Beer and Lambert), so
    the change is linear in the logarithm. Black stays black.
    """
    of_jitter, of_choice, of_mixing, of_strength, of_paling = draws.split(5)
    surround = surround_of(images)
    density = -tf.math.log(tf.maximum(images, DARKEST))
    factors = 1 + of_jitter.symmetric_uniform([amounts["stain_jitter"]] * 3)
    # (n, 3, 3): colours to stains, each by its factor, and back.
    to_stains = tf.constant(np.linalg.inv(STAINS), tf.float32)
    matrices = to_stains @ (factors[:, :, None] * tf.constant(STAINS, tf.float32))
    matrices @= tf.eye(3) + tf.reshape(
        of_mixing.symmetric_uniform([amounts["stain_mixing"]] * 9), (-1, 3, 3)
    )
    # As often weaker as stronger.
    strength = np.log1p(amounts["stain_strength"])
    matrices *= tf.exp(of_strength.symmetric_uniform([strength]))[:, :, None]
    transfer = _transfer(density, surround)
    is_chosen = of_choice.bernoulli(amounts["stain_transfer"])
    density *= tf.where(is_chosen, transfer, tf.ones_like(transfer))
    shape = tf.shape(density)
    density = tf.reshape(tf.reshape(density, (shape[0], -1, 3)) @ matrices, shape)
    if amounts["paling"]:
        density = _pale(density, surround, amounts["paling"], of_paling)
    return tf.where(surround, images, tf.clip_by_value(tf.exp(-density), 0.0, 1.0))


def _pale(density: tf.Tensor, surround: tf.Tensor, share: float, draws: Draws) -> tf.Tensor:
    """That share of the cells paler where they are pale, thus all but a parasite or its like.

    As cells are whose haemoglobin a parasite has eaten, those of P. vivax above all.
    """
    of_amount, of_choice = draws.split(2)
    mean = tf.reduce_mean(mean_of_cell(density, surround), axis=-1, keepdims=True)
    darkness = tf.reduce_mean(density, axis=-1, keepdims=True) / tf.maximum(mean, 0.02)
    kept = of_amount.uniform(1, 1, 1, low=0.2, high=0.8)
    # From the mean of the cell to twice as dark.
    is_dark = tf.clip_by_value(darkness - 1, 0.0, 1.0)
    return choose(of_choice.bernoulli(share), density * (kept + (1 - kept) * is_dark), density)


def _transfer(density: tf.Tensor, surround: tf.Tensor) -> tf.Tensor:
    """The factors, (n, 1, 1, 3), by which a cell's mean density becomes that of the next one."""
    # The idea of Reinhard et al. 2001, "Color transfer between images", on densities.
    mean = mean_of_cell(density, surround)
    return ratio(tf.roll(mean, 1, axis=0), mean, MOST_TRANSFER)


def ratio(wanted: tf.Tensor, mean: tf.Tensor, most: float) -> tf.Tensor:
    """The factors by which mean densities become the wanted ones, at most `most` or its inverse."""
    return tf.clip_by_value(wanted / tf.maximum(mean, 0.02), 1 / most, most)


def mean_of_cell(values: tf.Tensor, surround: tf.Tensor) -> tf.Tensor:
    """The mean in the middle of each image, but for black surround, (n, 1, 1, channels)."""
    height, width = values.shape[1:3]
    rows, columns = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    inner = tf.constant((rows**2 + columns**2 <= INNER**2)[None, :, :, None])
    weights = tf.cast(inner & ~surround, tf.float32)
    total = tf.reduce_sum(weights, axis=(1, 2), keepdims=True)
    return tf.reduce_sum(values * weights, axis=(1, 2), keepdims=True) / tf.maximum(total, 1.0)


@change("exposure")
def darken(images: tf.Tensor, amounts: Amounts, draws: Draws) -> tf.Tensor:
    """Take up to that share of the light from half of the images."""
    of_light, of_choice = draws.split(2)
    light = 1 - of_light.uniform(1, 1, 1, high=amounts["exposure"])
    return choose(of_choice.bernoulli(0.5), images * light, images)


@change("brightness", "color_jitter")
def tint(images: tf.Tensor, amounts: Amounts, draws: Draws) -> tf.Tensor:
    """Multiply all channels by one factor (brightness) and each by its own (color_jitter).

    Black stays black: the surround of a cell tells nothing of its stain.
    """
    factors = 1 + draws.symmetric_uniform([amounts["brightness"]] + [amounts["color_jitter"]] * 3)
    return tf.clip_by_value(images * (factors[:, :1] * factors[:, 1:])[:, None, None], 0.0, 1.0)
