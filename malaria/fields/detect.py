"""detect: ask a trained detector for all objects in a field, at one scale.

Boxes are in pixels of the field; the network sees it resized, in tiles.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

from malaria.base.errors import UserError

# The network's places are every so many pixels; sides of its images are multiples of MULTIPLE.
STRIDE, MULTIPLE = 2, 16
# It learnt red cells of about this diameter, pixels.
DIAMETER = 24
# A tile has this side, pixels of the network, and shares MARGIN with the next: it bounds memory.
TILE, MARGIN = 512, 64
# From this probability on a place is the middle of an object.
LEAST = 0.3
# A detector that sees more objects in a tile tells nothing, and to part them would take for ever.
MOST = 5000
# Of two objects that share more of their union, or whose middles are nearer than this share of the
# smaller one, the likelier one is kept.
SHARED, NEAR = 0.45, 0.3
# Kinds, in the order of the network's channels.
RED, WHITE, PLATELET = range(3)

# (1, height, width, 3), float32, 0..1 -> (1, height / 2, width / 2, kinds + 2).
Ask = Callable[[np.ndarray], np.ndarray]
# Left, top, right, bottom, pixels.
Area = tuple[float, float, float, float]


class Objects(NamedTuple):
    """boxes: (n, 4), float32: left, top, width, height. kinds: (n,). probabilities: (n,), 0..1."""

    boxes: np.ndarray
    kinds: np.ndarray
    probabilities: np.ndarray

    def chosen(self, places: np.ndarray) -> "Objects":
        """Those at these places."""
        return Objects(*(one[places] for one in self))

    @property
    def sides(self) -> np.ndarray:
        """The side of a square as large as each box, (n,), pixels."""
        return np.sqrt(self.boxes[:, 2] * self.boxes[:, 3])


def detect(
    field: Image.Image, diameter: float, ask: Ask, least: float = LEAST, area: Area | None = None
) -> Objects:
    """All objects of a field, RGB or grey, whose red cells have this diameter; the likeliest first.

    area: the part of it that is looked at; None: all. Raises UserError for what no detector tells.
    """
    area, step = area or (0, 0, *field.size), diameter / DIAMETER
    lefts, tops = (list(_starts(area[one], area[one + 2], step)) for one in (0, 1))
    parts = []
    for top in tops:
        for left in lefts:
            tile = left, top, min(left + TILE * step, area[2]), min(top + TILE * step, area[3])
            found = _in_tile(field, tile, step, ask, least)
            parts.append(found.chosen(_is_inside(found, tile, area, step)))
    return _without_doubles(Objects(*map(np.concatenate, zip(*parts, strict=True))))


def _starts(begin: float, end: float, step: float) -> Iterator[float]:
    """Where tiles begin, along one side of the area."""
    while True:
        yield begin
        if begin + TILE * step >= end:
            return
        begin += (TILE - MARGIN) * step


def _in_tile(field: Image.Image, tile: Area, step: float, ask: Ask, least: float) -> Objects:
    size = [max(1, round((tile[one + 2] - tile[one]) / step)) for one in (0, 1)]
    image = field.resize(size, Image.Resampling.BILINEAR, box=tile, reducing_gap=2)
    pixels = np.asarray(image.convert("RGB"), np.float32) / 255
    padding = [(0, -side % MULTIPLE) for side in pixels.shape[:2]]
    found = _peaks(ask(np.pad(pixels, [*padding, (0, 0)], mode="edge")[np.newaxis])[0], least)
    boxes = found.boxes * np.float32(step)
    boxes[:, :2] += np.array(tile[:2], np.float32)
    return found._replace(boxes=boxes)


def _is_inside(found: Objects, tile: Area, area: Area, step: float) -> np.ndarray:
    """Which have their middle in the tile, and not in the half of a margin that the next has."""
    middles, half = found.boxes[:, :2] + found.boxes[:, 2:] / 2, MARGIN / 2 * step
    low = np.array([tile[one] + half * (tile[one] > area[one]) for one in (0, 1)])
    high = np.array([tile[one] - half * (tile[one] < area[one]) for one in (2, 3)])
    return np.asarray(((middles >= low) & (middles < high)).all(axis=1))


def _peaks(maps: np.ndarray, least: float) -> Objects:
    """One object for each place that is likelier a middle than all around it."""
    middles = maps[..., :-2]
    is_peak = (middles == ndimage.maximum_filter(middles, (3, 3, 1))) & (middles >= least)
    rows, columns, kinds = np.nonzero(is_peak)
    if len(rows) > MOST:
        raise UserError(f"the detector sees {len(rows):,} objects in one part of this field")
    sizes = DIAMETER * np.exp(maps[rows, columns, -2:].clip(-4, 4))
    places = np.stack([columns, rows], axis=1) + _shifts(middles, rows, columns, kinds)
    boxes = np.concatenate([(places + 0.5) * STRIDE - sizes / 2, sizes], axis=1)
    return Objects(boxes.astype(np.float32), kinds, middles[rows, columns, kinds])


def _shifts(
    middles: np.ndarray, rows: np.ndarray, columns: np.ndarray, kinds: np.ndarray
) -> np.ndarray:
    """How far from its place each middle is, x and y: places are coarse, and neighbours tell."""
    padded = np.pad(middles, ((1, 1), (1, 1), (0, 0)))
    rows, columns = rows + 1, columns + 1
    here = padded[rows, columns, kinds]
    shifts = []
    for down, across in ((0, 1), (1, 0)):
        before = padded[rows - down, columns - across, kinds]
        after = padded[rows + down, columns + across, kinds]
        shifts.append((after - before) / np.maximum(before + here + after, 1e-6))
    return np.stack(shifts, axis=1)


def _without_doubles(found: Objects) -> Objects:
    """The likeliest of those that are one object."""
    found = found.chosen(np.argsort(-found.probabilities, kind="stable"))
    starts, ends = found.boxes[:, :2], found.boxes[:, :2] + found.boxes[:, 2:]
    areas, middles, sides = found.boxes[:, 2:].prod(axis=1), (starts + ends) / 2, found.sides
    kept = np.zeros(0, np.int64)
    for one in range(len(areas)):
        shared = np.minimum(ends[kept], ends[one]) - np.maximum(starts[kept], starts[one])
        both = shared.clip(0).prod(axis=1)
        apart = np.hypot(*(middles[kept] - middles[one]).T)
        is_near = apart < NEAR * np.minimum(sides[kept], sides[one])
        if not (is_near | (both > SHARED * (areas[kept] + areas[one] - both))).any():
            kept = np.append(kept, one)
    return found.chosen(kept)
