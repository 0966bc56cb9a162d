"""surround: random changes to what lies about the cell: black where it was cut out, or a field."""

from malaria.augmentation.colours import mean_of_cell
from malaria.augmentation.draws import Draws
from malaria.augmentation.geometry import offsets_aside, shift
from malaria.augmentation.random_changes import (
    Amounts,
    change,
    choose,
    corners_of,
    grow,
    is_masked,
    mean_of_neighbours,
    surround_of,
)
from malaria.networks.backend import tf

# Parts of other cells that come to lie beside a cell, and where their centres are, in sides of the
# image: nearer ones would lie on the cell.
NEIGHBOURS, NEAR, FAR = 2, 0.75, 1.15
# The least light, 0..1, of a background that is not another image's.
LEAST_LIGHT = 0.7


@change("background", "mask")
def change_surround(images: tf.Tensor, amounts: Amounts, draws: Draws) -> tf.Tensor:
    """Put a share of the cells on black onto a background, and a share of the others onto black."""
    to_field, of_field, to_black, outline = draws.split(4)
    masked = is_masked(images)
    changed = images
    if amounts["background"]:
        chosen = masked & to_field.bernoulli(amounts["background"])
        changed = choose(chosen, _put_on_background(images, masked, of_field), changed)
    if amounts["mask"]:
        chosen = ~masked & to_black.bernoulli(amounts["mask"])
        changed *= tf.cast(~chosen | _in_outline(images, outline), tf.float32)
    return changed


def _put_on_background(images: tf.Tensor, masked: tf.Tensor, draws: Draws) -> tf.Tensor:
    """Each cell on a light field, with parts of the batch's other cells at its sides."""
    of_light, *of_neighbours = draws.split(NEIGHBOURS + 1)
    field = _background(images, masked, of_light)
    # A mask's edge is dark where the image was made smaller: it is surround too.
    surround = grow(surround_of(images))
    mean = mean_of_cell(images, surround)
    kept = tf.cast(~surround, tf.float32)
    for number, own in enumerate(of_neighbours, start=1):
        others, theirs, other_mean = (tf.roll(one, number, axis=0) for one in (images, kept, mean))
        # In the colour of the cell that it lies beside: they are of one slide.
        colour = mean / tf.maximum(other_mean, 0.02)
        field = _lay_aside(field, others, theirs, colour, offsets_aside(images, NEAR, FAR, own))
    # A cell's edge is not as sharp as its mask's: a pixel of it is a mixture.
    share = kept * (0.5 + 0.5 * mean_of_neighbours(kept))
    return field + share * (images - field)


def _background(images: tf.Tensor, masked: tf.Tensor, draws: Draws) -> tf.Tensor:
    """A colour for each image, (n, 1, 1, 3): of the next one's background, or at random."""
    numbers = draws.uniform(1, 1, 4)
    light = LEAST_LIGHT + (1 - LEAST_LIGHT) * numbers[..., :1]
    random = light + (1 - light) * numbers[..., 1:]
    return tf.where(tf.roll(masked, 1, axis=0), random, tf.roll(corners_of(images), 1, axis=0))


# Compiled, since a CPU else reads and writes the images again for each of these operations.
@tf.function(jit_compile=True, autograph=False)
def _lay_aside(
    field: tf.Tensor, others: tf.Tensor, kept: tf.Tensor, colour: tf.Tensor, offsets: tf.Tensor
) -> tf.Tensor:
    """The field with the cells of the others on it, each moved by its offset.

    kept: which pixels are cell, (n, height, width, 1), 0 or 1. colour: factors, (n, 1, 1, 3).
    """
    cells = tf.clip_by_value(shift(others, offsets) * colour, 0.0, 1.0)
    share = shift(kept, offsets)
    return share * cells + (1 - share) * field


def _in_outline(images: tf.Tensor, draws: Draws) -> tf.Tensor:
    """The pixels in an ellipse about as large as the image, (n, height, width, 1), bool."""
    height, width = images.shape[1:3]
    radii = draws.uniform(1, 1, 2, low=0.9, high=1.1)
    rows = tf.linspace(-1.0, 1.0, height)[None, :, None, None]
    columns = tf.linspace(-1.0, 1.0, width)[None, None, :, None]
    return (rows / radii[..., :1]) ** 2 + (columns / radii[..., 1:]) ** 2 <= 1
