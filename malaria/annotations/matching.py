"""matching: which found boxes are which annotated ones, one to one, by intersection over union."""

from collections.abc import Sequence
from dataclasses import astuple

import numpy as np

from malaria.pictures.box import Box

# Of two boxes of one cell. Those of people are often a tenth wider than the cell.
LEAST = 0.5
# A box is at the border, which may cut its cell, up to this many pixels from it.
BORDER = 2


def overlaps(found: Sequence[Box], known: Sequence[Box]) -> np.ndarray:
    """(found, known): the intersection over union of each pair, 0..1, float64."""
    one, other = _ends(found)[:, None], _ends(known)[None]
    sides = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
    shared = sides.clip(0).prod(axis=-1)
    areas = [(ends[..., 2:] - ends[..., :2]).prod(axis=-1) for ends in (one, other)]
    return np.asarray(shared / (areas[0] + areas[1] - shared))


def _ends(boxes: Sequence[Box]) -> np.ndarray:
    """(boxes, 4): left, top, right, bottom."""
    sides = np.array([astuple(box) for box in boxes], np.float64).reshape(-1, 4)
    return np.concatenate([sides[:, :2], sides[:, :2] + sides[:, 2:]], axis=1)


def match(found: Sequence[Box], known: Sequence[Box], least: float = LEAST) -> dict[int, int]:
    """{index in found: index in known} of the pairs that overlap by `least` or more.

    As many pairs as can be, none with a box of another, and of all such choices that of the largest
    overlaps (scipy's linear_sum_assignment).
    """
    from scipy.optimize import linear_sum_assignment

    shares = overlaps(found, known)
    is_pair = shares >= least
    # One pair more is worth more than all overlaps together.
    worth = np.where(is_pair, 1 + shares / (1 + min(shares.shape)), 0)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return {row: column for row, column in pairs if is_pair[row, column]}


def touches_border(box: Box, size: tuple[int, int]) -> bool:
    """Whether the border of an image of this (width, height) may cut the cell of the box."""
    right, bottom = box.left + box.width, box.top + box.height
    return min(box.left, box.top, size[0] - right, size[1] - bottom) <= BORDER
