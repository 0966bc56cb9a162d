"""detect: a trained detector, asked for all objects in one image of a field.

Lengths are pixels of the image that it is asked about.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy import ndimage

# The network's places are every so many pixels; sides of its images are multiples of MULTIPLE.
STRIDE, MULTIPLE = 2, 16
# It learnt red cells of about this diameter, pixels.
DIAMETER = 24
# A larger image is looked at in tiles of this side, which share MARGIN pixels: it bounds memory.
TILE, MARGIN = 1024, 64
# From this probability on a place is the middle of an object.
LEAST = 0.3
# Of two objects that share more of their union, or whose middles are nearer than this share of the
# smaller one, the likelier one is kept.
SHARED, NEAR = 0.45, 0.3
# Kinds, in the order of the network's channels.
RED, WHITE, PLATELET = range(3)

# (1, height, width, 3), float32, 0..1 -> (1, height / 2, width / 2, kinds + 2).
Ask = Callable[[np.ndarray], np.ndarray]


class Objects(NamedTuple):
    """boxes: (n, 4), float32: left, top, width, height. kinds: (n,). probabilities: (n,), 0..1."""

    boxes: np.ndarray
    kinds: np.ndarray
    probabilities: np.ndarray

    def chosen(self, places: np.ndarray) -> "Objects":
        return Objects(*(one[places] for one in self))


def detect(image: np.ndarray, ask: Ask, least: float = LEAST) -> Objects:
    """All objects in an image, (height, width, 3), uint8, the likeliest first."""
    parts = [
        _in_tile(image[top : top + TILE, left : left + TILE], (left, top), image.shape, ask, least)
        for top in _starts(image.shape[0])
        for left in _starts(image.shape[1])
    ]
    return _without_doubles(Objects(*map(np.concatenate, zip(*parts, strict=True))))


def _starts(length: int) -> Iterator[int]:
    return iter(range(0, max(1, length - MARGIN), TILE - MARGIN))


def _in_tile(
    tile: np.ndarray, start: tuple[int, int], shape: tuple[int, ...], ask: Ask, least: float
) -> Objects:
    height, width = tile.shape[:2]
    padding = [(0, -side % MULTIPLE) for side in (height, width)]
    padded = np.pad(tile, [*padding, (0, 0)], mode="edge")
    maps = ask(padded[np.newaxis].astype(np.float32) / 255)[0]
    found = _peaks(maps, least)
    middles = found.boxes[:, :2] + found.boxes[:, 2:] / 2
    # What lies nearer to an inner edge of a tile is in the next one, whole.
    low = np.array([MARGIN / 2 if begin else 0 for begin in start])
    ends = start[0] + width, start[1] + height
    high = np.array(
        [
            side - (MARGIN / 2 if end < whole else 0)
            for side, end, whole in zip((width, height), ends, (shape[1], shape[0]), strict=True)
        ]
    )
    kept = found.chosen(((middles >= low) & (middles < high)).all(axis=1))
    kept.boxes[:, :2] += start
    return kept


def _peaks(maps: np.ndarray, least: float) -> Objects:
    """One object for each place that is likelier a middle than all around it."""
    middles = maps[..., :-2]
    is_peak = (middles == ndimage.maximum_filter(middles, (3, 3, 1))) & (middles >= least)
    rows, columns, kinds = np.nonzero(is_peak)
    probabilities = middles[rows, columns, kinds]
    sizes = DIAMETER * np.exp(maps[rows, columns, -2:].clip(-4, 4))
    # Finer than the places are: the mean of the nine around, by how likely they are.
    places = np.stack([_refine(middles, rows, columns, kinds, axis) for axis in (1, 0)], axis=1)
    boxes = np.concatenate([(places + 0.5) * STRIDE - sizes / 2, sizes], axis=1)
    return Objects(boxes.astype(np.float32), kinds, probabilities)


def _refine(
    middles: np.ndarray, rows: np.ndarray, columns: np.ndarray, kinds: np.ndarray, axis: int
) -> np.ndarray:
    place = (rows, columns)[axis]
    last = middles.shape[axis] - 1
    around = []
    for step in (-1, 0, 1):
        moved = [rows, columns]
        moved[axis] = (place + step).clip(0, last)
        around.append(middles[moved[0], moved[1], kinds])
    total = np.maximum(sum(around), 1e-6)
    return place + (around[2] - around[0]) / total


def _without_doubles(found: Objects) -> Objects:
    """The likeliest of those that are one object."""
    found = found.chosen(np.argsort(-found.probabilities, kind="stable"))
    kept: list[int] = []
    ends = found.boxes[:, :2] + found.boxes[:, 2:]
    areas = found.boxes[:, 2] * found.boxes[:, 3]
    middles, sizes = found.boxes[:, :2] + found.boxes[:, 2:] / 2, np.sqrt(areas)
    for place in range(len(areas)):
        others = np.array(kept, int)
        shared = np.minimum(ends[others], ends[place])
        shared = (shared - np.maximum(found.boxes[others, :2], found.boxes[place, :2])).clip(0)
        both = shared.prod(axis=1)
        union = areas[others] + areas[place] - both
        apart = np.hypot(*(middles[others] - middles[place]).T)
        near = apart < NEAR * np.minimum(sizes[others], sizes[place])
        if not (near | (both > SHARED * union)).any():
            kept.append(place)
    return found.chosen(np.array(kept, int))
