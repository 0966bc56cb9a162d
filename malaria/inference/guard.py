"""guard: tells images that are no single cell, before anybody believes what the network says.

A network of two labels gives one of them to every image, to a white cell, a whole field or a white
page too. The guard is a small network on numbers that say how colour and edges are spread from the
middle of an image outwards. It is fitted with each model (see training/fit_guard.py) and travels in
its .json. An image that it does not take for a cell is "unlike" what the model learnt from.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from malaria.base.errors import UserError
from malaria.base.text import shorten
from malaria.evaluation.decisions import from_logits

KEY = "guard"
FORMAT = 1
# What an image may be in place of a cell: {kind: reason for people}.
REASONS = {
    "other": "another kind of cell or object, no red cell",
    "several": "several cells or a whole field",
    "none": "no cell",
}
CELL = "cell"
# Squares a side in which an image is looked at.
SIDE = 16
# Where the rings around the middle end, in half sides; the corners are at the root of 2.
RINGS = (0.25, 0.45, 0.6, 0.72, 0.82, 0.92, 1.02, 1.5)
EDGE_RINGS = (0.5, 0.8, 1.0, 1.5)
# Added to spreads and edges, 0..1, before the logarithm: about two grey levels.
LEAST = 0.01
# Of the hidden layer; more would be no model's of this program.
MAX_UNITS = 1024


@dataclass(frozen=True)
class Guard:
    """A fitted guard, a network of one hidden layer.

    kinds: CELL first, then keys of REASONS. hidden: (FEATURES + 1, units), output: (units + 1,
    number of kinds), the last row of each being the biases. threshold: from this probability,
    0..1, of CELL on an image is one.
    """

    kinds: tuple[str, ...]
    hidden: np.ndarray
    output: np.ndarray
    threshold: float

    def reasons(self, images: np.ndarray) -> list[str | None]:
        """The reason why each image is unlike a cell, or None: (n, height, width, 3) uint8, RGB."""
        probabilities = self.probabilities(images)
        kinds = 1 + probabilities[:, 1:].argmax(axis=1)
        kinds[probabilities[:, 0] >= self.threshold] = 0
        return [REASONS[self.kinds[kind]] if kind else None for kind in kinds.tolist()]

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """(n, number of kinds), each row adding up to 1."""
        units = np.maximum(features(images) @ self.hidden[:-1] + self.hidden[-1], 0)
        return from_logits(units @ self.output[:-1] + self.output[-1])

    def to_entries(self) -> dict[str, Any]:
        """The plain values that `from_entries` reads."""
        return {
            "format": FORMAT,
            "kinds": list(self.kinds),
            "threshold": self.threshold,
            "units": len(self.output) - 1,
            "hidden": _to_text(self.hidden),
            "output": _to_text(self.output),
        }

    @classmethod
    def from_entries(cls, entries: Any, where: object) -> "Guard":
        """The Guard that a model's metadata holds. Raises UserError for an impossible one."""
        try:
            return _parse(entries)
        except (KeyError, TypeError, ValueError) as error:  # base64's among them
            raise UserError(f"{where}: its {KEY} is damaged: {shorten(error, 200)}") from None


def _parse(entries: Mapping[str, Any]) -> Guard:
    kinds, units, threshold = tuple(entries["kinds"]), entries["units"], entries["threshold"]
    if entries["format"] != FORMAT:
        raise ValueError(f"expected format {FORMAT}, received {entries['format']!r}")
    if kinds[:1] != (CELL,) or not set(kinds[1:]) <= set(REASONS) or not 2 <= len(kinds) <= 4:
        raise ValueError(f"kinds {kinds!r}")
    if type(units) is not int or not 0 < units <= MAX_UNITS:
        raise ValueError(f"{units!r} units")
    if type(threshold) not in (int, float) or not 0 <= threshold <= 1:
        raise ValueError(f"threshold {threshold!r}")
    hidden = _from_text(entries["hidden"], (FEATURES + 1, units))
    return Guard(kinds, hidden, _from_text(entries["output"], (units + 1, len(kinds))), threshold)


def _to_text(array: np.ndarray) -> str:
    return base64.b64encode(array.astype("<f4").tobytes()).decode("ascii")


def _from_text(text: str, shape: tuple[int, int]) -> np.ndarray:
    array = np.frombuffer(base64.b64decode(text, validate=True), "<f4")
    if not np.isfinite(array).all():
        raise ValueError("values that are not finite numbers")
    return array.reshape(shape).astype(np.float32)


def features(images: np.ndarray) -> np.ndarray:
    """(n, FEATURES) float32 of images (n, height, width, 3), uint8, RGB.

    For each ring around the middle the mean of each channel and the logarithm of its spread; then,
    at two resolutions, the logarithm of the mean of the edges in each ring, and of the largest.
    """
    count = len(images)
    squares = shrink(images)
    planes = squares.transpose(0, 3, 1, 2).reshape(3 * count, -1)
    rings = _rings(SIDE, RINGS)
    means = planes @ rings
    spreads = np.sqrt(np.maximum((planes * planes) @ rings - means * means, 0))
    grey = squares.mean(axis=3)
    half = grey.reshape(count, SIDE // 2, 2, SIDE // 2, 2).mean(axis=(2, 4))
    logarithms = [np.log(part + LEAST) for part in (spreads, _edges(grey), _edges(half))]
    return np.concatenate([part.reshape(count, -1) for part in (means, *logarithms)], axis=1)


FEATURES = 2 * 3 * len(RINGS) + 2 * (len(EDGE_RINGS) + 1)


def shrink(images: np.ndarray) -> np.ndarray:
    """The mean colours of SIDE x SIDE squares, (n, SIDE, SIDE, 3) float32, 0..1."""
    count, height, width, channels = images.shape
    rows = images.astype(np.float32).reshape(count, height, width * channels)
    rows = (_squares(height).T @ rows).reshape(count * SIDE, width, channels)
    # One product of all rows is faster than one for each.
    squares = rows.transpose(0, 2, 1).reshape(-1, width) @ _squares(width)
    return squares.reshape(count, SIDE, channels, SIDE).transpose(0, 1, 3, 2) / np.float32(255)


def _edges(grey: np.ndarray) -> np.ndarray:
    """Mean difference between neighbours in each of EDGE_RINGS, and the largest, (n, 5)."""
    across, down = np.abs(np.diff(grey, axis=2)) / 2, np.abs(np.diff(grey, axis=1)) / 2
    steps = np.zeros_like(grey)
    steps[:, :, 1:] = across
    steps[:, :, :-1] += across
    steps[:, 1:] += down
    steps[:, :-1] += down
    flat = steps.reshape(len(grey), -1)
    means = flat @ _rings(grey.shape[1], EDGE_RINGS)
    return np.concatenate([means, flat.max(axis=1, keepdims=True)], axis=1)


@cache
def _squares(length: int) -> np.ndarray:
    """(length, SIDE): times a row of pixels, its means in SIDE equal parts."""
    ends = np.arange(SIDE + 1) * length / SIDE
    places = np.arange(length)[:, None]
    shares = np.minimum(places + 1, ends[1:]) - np.maximum(places, ends[:-1])
    return (np.maximum(shares, 0) * SIDE / length).astype(np.float32)


@cache
def _rings(side: int, ends: Sequence[float]) -> np.ndarray:
    """(side * side, number of rings): times an image, its means in rings."""
    places = (np.arange(side) + 0.5) / side * 2 - 1
    radii = np.hypot(places[:, None], places).reshape(-1, 1)
    inside = (radii < np.array(ends)) & (radii >= np.array((0, *ends[:-1])))
    return (inside / inside.sum(axis=0)).astype(np.float32)
