"""other_images: the images of no single cell that a training shows beside the labelled ones."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from malaria.augmentation.draws import Draws
from malaria.base.errors import UserError
from malaria.data.labelled_images import LabelledImages
from malaria.inference.guard import NONE, OTHER, SEVERAL
from malaria.networks.backend import tf
from malaria.pictures.folders import find_images
from malaria.pictures.images import PixelFormat, UnreadableImageError, read_image
from malaria.training.batches import Batch
from malaria.training.not_cells import draw_none, draw_several

# So many for each image of a batch.
SHARE = 3 / 8
# At most so many of each kind; of few labelled images TIMES as many.
MOST, TIMES = 2000, 4
# Beside real ones of the kind at least so many are drawn.
LEAST = 500
# They are drawn of cells of at most this side, pixels, and enlarged: larger ones take minutes.
SIDE = 48
# Cells that they are drawn of.
CELLS = 1000

# (cells, rng) -> an image, as in not_cells.py.
Drawing = Callable[[np.ndarray, np.random.RandomState], np.ndarray]


@dataclass(frozen=True)
class OtherImages:
    """images: (m, height, width, 3), uint8; kinds: (m,), int32, ascending from 1, of each image.

    A kind is a place in `guard_head.kinds_of`.
    """

    images: np.ndarray
    kinds: np.ndarray

    @cached_property
    def tensors(self) -> tuple[tf.Tensor, tf.Tensor]:
        """(images, the row where each kind begins and, last, the number of all)."""
        starts = np.searchsorted(self.kinds, np.arange(1, self.kinds[-1] + 2))
        return tf.constant(self.images), tf.constant(starts, tf.int32)


def add_others(batch: Batch, others: tuple[tf.Tensor, tf.Tensor] | None) -> Batch:
    """The batch with SHARE as many others behind its images, and with the kinds of all.

    others: `tensors` of OtherImages; each kind is as likely. None: the batch as it is.
    """
    if others is None:
        return batch
    images, starts = others
    count = tf.shape(batch.labels)[0]
    number = tf.cast(tf.math.ceil(SHARE * tf.cast(count, tf.float32)), tf.int32)
    # Other random numbers than those of the changes, which have the same seed.
    numbers = Draws(tf.bitwise.invert(batch.seed), number).uniform(2)
    kinds = tf.cast(numbers[:, 0] * tf.cast(tf.size(starts) - 1, tf.float32), tf.int32)
    first, after = tf.gather(starts, kinds), tf.gather(starts, kinds + 1)
    rows = first + tf.cast(numbers[:, 1] * tf.cast(after - first, tf.float32), tf.int32)
    images = tf.concat([batch.images, tf.gather(images, rows)], axis=0)
    return batch._replace(images=images, kinds=tf.pad(kinds + 1, [[count, 0]]))


def make_others(images: LabelledImages, folders: Sequence[str], *, seed: int) -> OtherImages:
    """Drawn ones, "several" and "none", and those in the folders, "other" or as their folder says.

    Raises UserError if an image is gone, or if none in the folders is readable.
    """
    rng = np.random.RandomState(seed)
    size = images.pixels.pixel_format.size
    cells = _resize(images.pixels.read(_choose_by_source(images, rng)), (min(SIDE, *size),) * 2)
    read = _read(folders, images.pixels.pixel_format, rng) if folders else {}
    parts = []
    for kind, draw in ((SEVERAL, draw_several), (NONE, draw_none)):
        known = read.get(kind, [])
        # Of real ones about as many are shown as of drawn ones.
        count = max(LEAST, len(known)) if known else min(MOST, TIMES * len(images.training))
        parts.append([*_draw(draw, cells, count, size, rng), *known])
    parts += [read[OTHER]] if OTHER in read else []
    kinds = np.repeat(np.arange(1, len(parts) + 1, dtype=np.int32), [len(part) for part in parts])
    return OtherImages(np.stack([image for part in parts for image in part]), kinds)


def _choose_by_source(images: LabelledImages, rng: np.random.RandomState) -> np.ndarray:
    """At most CELLS training images, of each source as many as of the others or all it has."""
    groups: dict[str, list[int]] = {}
    for index in rng.permutation(images.training).tolist():
        groups.setdefault(images.samples[index].source, []).append(index)
    return np.array([index for group in groups.values() for index in group[: CELLS // len(groups)]])


def _draw(
    draw: Drawing,
    cells: np.ndarray,
    count: int,
    size: tuple[int, int],
    rng: np.random.RandomState,
) -> np.ndarray:
    drawn = np.stack([draw(cells, rng) for _ in range(count)])
    return _resize((drawn * 255).round().astype(np.uint8), size)


def _resize(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(n, *size, 3), uint8; smaller ones by area."""
    resized = [Image.fromarray(one).resize(size[::-1], Image.Resampling.BILINEAR) for one in images]
    return np.stack([np.asarray(one) for one in resized])


def _read(
    folders: Sequence[str], pixel_format: PixelFormat, rng: np.random.RandomState
) -> dict[str, list[np.ndarray]]:
    """{kind: images}; those in a folder named several or none are of that kind."""
    paths = [path for folder in folders for path in find_images(Path(folder))]
    found: dict[str, list[np.ndarray]] = {}
    for place in rng.permutation(len(paths)).tolist():
        name = paths[place].parent.name
        images = found.setdefault(name if name in (SEVERAL, NONE) else OTHER, [])
        if len(images) < MOST:
            with suppress(UnreadableImageError):
                images.append(read_image(paths[place], pixel_format))
    if not any(found.values()):
        raise UserError(f"not_cells: none of the images in {', '.join(folders)} is readable")
    return {kind: images for kind, images in found.items() if images}
