"""guard: tells images that are no single cell, before anybody believes what the network says.

A network of two labels gives one of them to every image, to a white cell, a whole field or a white
page too. The guard is one layer on the network's features, the numbers by which it decides. It is
fitted with each model (see training/fit_guard.py) and travels in its .json. An image that it does
not take for a cell is "unlike" what the model learnt from.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from malaria.base.errors import UserError
from malaria.base.text import shorten
from malaria.evaluation.decisions import from_logits

KEY = "guard"
FORMAT = 2
CELL, SEVERAL, NONE, OTHER = "cell", "several", "none", "other"
# What an image may be in place of a cell: {kind: reason for people}.
REASONS = {
    OTHER: "another kind of cell or object, no red cell",
    SEVERAL: "several cells or a whole field",
    NONE: "no cell",
}
# Of features; more would be no model's of this program.
MAX_FEATURES = 2**16


@dataclass(frozen=True)
class Guard:
    """A fitted guard: a softmax on features.

    kinds: CELL first, then keys of REASONS. weights: (f + 1, number of kinds), the last row being
    the biases. threshold: from this probability, 0..1, of CELL on an image is one.
    """

    kinds: tuple[str, ...]
    weights: np.ndarray
    threshold: float

    @property
    def feature_count(self) -> int:
        """f, of a network that it can look at."""
        return len(self.weights) - 1

    def reasons(self, features: np.ndarray) -> list[str | None]:
        """The reason why each image is unlike a cell, or None; features: (n, f)."""
        probabilities = self.probabilities(features)
        kinds = 1 + probabilities[:, 1:].argmax(axis=1)
        kinds[probabilities[:, 0] >= self.threshold] = 0
        return [REASONS[self.kinds[kind]] if kind else None for kind in kinds.tolist()]

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """(n, number of kinds), each row adding up to 1."""
        return from_logits(features @ self.weights[:-1] + self.weights[-1])

    def to_entries(self) -> dict[str, Any]:
        """The plain values that `from_entries` reads."""
        return {
            "format": FORMAT,
            "kinds": list(self.kinds),
            "threshold": self.threshold,
            "features": self.feature_count,
            "weights": base64.b64encode(self.weights.astype("<f4").tobytes()).decode("ascii"),
        }

    @classmethod
    def from_entries(cls, entries: Any, where: object) -> "Guard":
        """The Guard that a model's metadata holds. Raises UserError for an impossible one."""
        try:
            return _parse(entries)
        except (KeyError, TypeError, ValueError) as error:  # base64's among them
            raise UserError(f"{where}: its {KEY} is damaged: {shorten(error, 200)}") from None


def is_of_earlier_version(entries: Any) -> bool:
    """True for a guard that looked at images itself, as versions before 2.5 had it."""
    return isinstance(entries, dict) and entries.get("format") == 1


def _parse(entries: Mapping[str, Any]) -> Guard:
    kinds, count, threshold = tuple(entries["kinds"]), entries["features"], entries["threshold"]
    if entries["format"] != FORMAT:
        raise ValueError(f"expected format {FORMAT}, received {entries['format']!r}")
    if kinds[:1] != (CELL,) or not set(kinds[1:]) <= set(REASONS) or not 2 <= len(kinds) <= 4:
        raise ValueError(f"kinds {kinds!r}")
    if type(count) is not int or not 0 < count <= MAX_FEATURES:
        raise ValueError(f"{count!r} features")
    if type(threshold) not in (int, float) or not 0 <= threshold <= 1:
        raise ValueError(f"threshold {threshold!r}")
    weights = np.frombuffer(base64.b64decode(entries["weights"], validate=True), "<f4")
    if not np.isfinite(weights).all():
        raise ValueError("values that are not finite numbers")
    return Guard(kinds, weights.reshape(count + 1, len(kinds)).astype(np.float32), threshold)
