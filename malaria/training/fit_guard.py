"""fit_guard: fit a model's guard, which tells images that are no single cell.

It learns from the training images, changed at random more than a network would bear, so that
another laboratory's cells pass; from images that are drawn (not_cells.py); and from images of
white cells and the like where there are any. What is fitted stands in inference/guard.py.
"""

import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from malaria.augmentation.augment import augment
from malaria.base.errors import UserError
from malaria.data.labelled_images import LabelledImages
from malaria.inference.guard import CELL, Guard, features
from malaria.networks.backend import tf
from malaria.pictures.folders import find_images
from malaria.pictures.images import PixelFormat, UnreadableImageError, read_image
from malaria.settings.augmentation_settings import Augmentation
from malaria.training.not_cells import draw_none, draw_several

# Images are changed and drawn at this side: twice what the guard looks at.
SIDE = 32
# It learns from at most MOST cells, and half as many of each kind of others; of few images, from
# TIMES as many.
MOST, TIMES = 4000, 8
# NETWORKS are fitted; the mean of their logits is one network with all their units.
NETWORKS, UNITS, ITERATIONS = 3, 32, 40
# The share of cells, not seen before, that it may call no cells; but whatever is a cell to it with
# this probability is one, or another laboratory's would be none.
SHARE, SURE = 0.002, 0.1
BATCH = 250
LIGHT = Augmentation(
    flips=True, quarter_turns=True, zoom=0.1, brightness=0.2, color_jitter=0.2, stain_jitter=0.3
)
MORE = {"zoom": 0.15, "aspect_ratio": 0.1, "stain_transfer": 0.3, "background": 0.5, "mask": 0.4}
STRONG = LIGHT.model_copy(update={**MORE, "blur": 0.5, "resolution": 0.5, "jpeg": 0.2})


def fit_guard_of(images: LabelledImages, folders: Sequence[str], *, seed: int) -> Guard:
    """The Guard for labelled images on their two sides.

    folders: of images that are no red cells. Of each source it learns from as many. Raises
    UserError if an image is gone, or if none in the folders is readable.
    """

    def read(indices: np.ndarray) -> np.ndarray:
        parts = [indices[start : start + BATCH] for start in range(0, len(indices), BATCH)]
        return np.concatenate([make_small(images.pixels.read(part)) for part in parts])

    rng = np.random.RandomState(seed)
    training = _choose_by_source(images, images.training, rng)
    validation = rng.permutation(images.validation)[:MOST]
    others = _read_others(folders, images.pixels.pixel_format, rng) if folders else None
    return fit_guard(read(training), read(validation), others, seed=seed)


def _choose_by_source(
    images: LabelledImages, indices: np.ndarray, rng: np.random.RandomState
) -> np.ndarray:
    """At most MOST of the indices, of each source as many as of the others or all it has."""
    groups: dict[str, list[int]] = {}
    for index in rng.permutation(indices).tolist():
        groups.setdefault(images.samples[index].source, []).append(index)
    return np.array([index for group in groups.values() for index in group[: MOST // len(groups)]])


def _read_others(
    folders: Sequence[str], pixel_format: PixelFormat, rng: np.random.RandomState
) -> np.ndarray:
    paths = [path for folder in folders for path in find_images(Path(folder))]
    images = []
    for place in rng.permutation(len(paths))[: MOST // 2].tolist():
        with suppress(UnreadableImageError):
            images.append(make_small(read_image(paths[place], pixel_format)[np.newaxis]))
    if not images:
        raise UserError(f"not_cells: none of the images in {', '.join(folders)} is readable")
    return np.concatenate(images)


def fit_guard(
    training: np.ndarray, validation: np.ndarray, others: np.ndarray | None = None, *, seed: int
) -> Guard:
    """The Guard for the cells of `training`, with its threshold chosen on those of `validation`.

    training, validation, others: (n, SIDE, SIDE, 3), uint8, RGB, the last of images that are no
    red cells. The same arguments give the same guard.
    """
    rng = np.random.RandomState(seed)
    count = min(MOST, TIMES * len(training))
    drawn = {CELL: _change(training, count, STRONG, rng)}
    for kind, draw in (("several", draw_several), ("none", draw_none)):
        images = np.stack([draw(training, rng) for _ in range(count // 2)])
        drawn[kind] = _change(_to_bytes(images), count // 2, LIGHT, rng)
    if others is not None:
        masked = LIGHT.model_copy(update={"mask": 0.3})
        drawn["other"] = _change(others, count // 2, masked, rng)
    hidden, output = _fit([features(images) for images in drawn.values()], seed)
    guard = Guard(tuple(drawn), hidden, output, 0.0)
    sure = guard.probabilities(validation)[:, 0]
    return replace(guard, threshold=min(SURE, float(np.quantile(sure, SHARE))))


def make_small(images: np.ndarray) -> np.ndarray:
    """(n, SIDE, SIDE, 3), uint8, by area."""
    small: np.ndarray = tf.image.resize(images, (SIDE, SIDE), antialias=True).numpy()
    return small.clip(0, 255).astype(np.uint8)


def _change(
    images: np.ndarray, count: int, changes: Augmentation, rng: np.random.RandomState
) -> np.ndarray:
    """`count` of the images in random order, over and over if they are fewer, changed at random."""
    chosen = images[np.resize(rng.permutation(len(images)), count)]
    amounts = changes.model_dump()
    parts = [
        augment(chosen[start : start + BATCH], amounts, seed=rng.randint(2**31, size=2)).numpy()
        for start in range(0, count, BATCH)
    ]
    return _to_bytes(np.concatenate(parts))


def _to_bytes(images: np.ndarray) -> np.ndarray:
    return (images * 255).round().astype(np.uint8)


def _fit(parts: Sequence[np.ndarray], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Guard.hidden and Guard.output for the features of each kind."""
    from sklearn.neural_network import MLPClassifier

    rows = np.concatenate(parts).astype(np.float64)
    kinds = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    mean, deviation = rows.mean(axis=0), rows.std(axis=0) + 1e-6
    known = {"learning_rate_init": 2e-3, "alpha": 0.1, "max_iter": ITERATIONS}
    known["batch_size"] = min(256, len(rows))
    # random_state takes 32 bits.
    seeds = [(seed + number) % 2**32 for number in range(NETWORKS)]
    networks = [MLPClassifier((UNITS,), random_state=one, **known) for one in seeds]
    with warnings.catch_warnings():
        # That it could learn on is no news: it is stopped here.
        warnings.simplefilter("ignore")
        for network in networks:
            network.fit((rows - mean) / deviation, kinds)
    return _join(networks, mean, deviation)


def _join(
    networks: Sequence[Any], mean: np.ndarray, deviation: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """One network of all units, on features as they are, with the mean of the logits."""
    first = np.concatenate([one.coefs_[0] for one in networks], axis=1) / deviation[:, None]
    bias = np.concatenate([one.intercepts_[0] for one in networks]) - mean @ first
    last = np.concatenate([one.coefs_[1] for one in networks]) / len(networks)
    end = np.mean([one.intercepts_[1] for one in networks], axis=0)
    return np.vstack([first, bias]).astype("f"), np.vstack([last, end]).astype("f")
