"""thresholds: the probability from which on an image is called positive.

Everywhere: labels (n,), integers; probabilities (n, 2), in the order of the labels; positive: the
index of the positive label. An image is called positive as decisions.decide says.
"""

import math
import re
from contextlib import suppress
from typing import Any

import numpy as np

from malaria.base.errors import UserError

YOUDEN, COUNTING = "youden", "counting"
# The share of positive images that "counting" is for.
RARE = 0.01
SENSITIVITY = re.compile(r"sensitivity>=(\d*\.?\d+)")
ALLOWED = "a number from 0 to 1, youden, counting, or sensitivity>=S with S above 0 and at most 1"


def parse_rule(value: object) -> float | str:
    """A threshold 0..1 (float), "youden", "counting" or "sensitivity>=S", of a number or a text.

    Raises ValueError, which says what is allowed.
    """
    text = "".join(str(value).lower().split())
    if text in (YOUDEN, COUNTING) or 0 < _target(text) <= 1:
        return text
    with suppress(ValueError):
        if 0 <= float(text) <= 1:
            return float(text)
    raise ValueError(f"expected {ALLOWED}")


def choose_threshold(
    labels: np.ndarray,
    probabilities: np.ndarray,
    *,
    positive: int,
    rule: float | str,
    weights: np.ndarray | None = None,
) -> float:
    """The threshold that `rule` picks on these images, 0..1.

    "youden" maximises sensitivity + specificity - 1 (Youden 1950), and of equal ones finds more
    positives. "counting" minimises the error of a share of RARE that is corrected by sensitivity
    and specificity (Rogan and Gladen 1978): it spares more. "sensitivity>=S" is the highest with
    that sensitivity. All lie in the middle between two probabilities: at the edge, an image like
    one of these could fall on the other side. weights: how often each image counts, (n,), on
    average 1; None: once.

    Raises ValueError for another rule, and UserError where a label is absent or there are three.
    """
    rule = parse_rule(rule)
    if isinstance(rule, float):
        return rule
    if probabilities.shape[1] != 2:
        raise UserError(f"threshold {rule}: expected two labels, received {probabilities.shape[1]}")
    is_positive = np.asarray(labels) == positive
    values, found, alarms = _cuts(is_positive, probabilities[:, positive], weights)
    positives, negatives = found.max(initial=0), alarms.max(initial=0)
    if not positives or not negatives:
        raise UserError(f"threshold {rule}: expected images of both labels, found one label only")
    if rule == YOUDEN:
        return _middle(values, np.argmax(found * negatives - alarms * positives))
    if rule == COUNTING:
        return _middle(values, np.argmin(_counting_error(found, positives, alarms, negatives)))
    return _middle(values, np.flatnonzero(found / positives >= _target(rule))[-1])


def _target(text: str) -> float:
    """The S of "sensitivity>=S"; of another text NaN."""
    match = SENSITIVITY.fullmatch(text)
    return float(match[1]) if match else math.nan


def _cuts(
    is_positive: np.ndarray, scores: np.ndarray, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The m distinct scores, rising, and (m,) counts of positives and of others from each on."""
    values, place = np.unique(scores, return_inverse=True)
    # Whole numbers without weights, so that equal ones are equal.
    found, alarms = (
        np.bincount(place[these], None if weights is None else weights[these], len(values))
        for these in (is_positive, ~is_positive)
    )
    return values, np.cumsum(found[::-1])[::-1], np.cumsum(alarms[::-1])[::-1]


def _counting_error(
    found: np.ndarray, positives: float, alarms: np.ndarray, negatives: float
) -> np.ndarray:
    """The standard deviation, times a constant, of the corrected share of RARE positive ones.

    With one image more on either side of each rate, for no false alarm among a few images is no
    promise of none.
    """
    sensitivity, rate = (found + 1) / (positives + 2), (alarms + 1) / (negatives + 2)
    called = RARE * sensitivity + (1 - RARE) * rate
    informed = sensitivity > rate
    error = np.sqrt(called * (1 - called)) / np.where(informed, sensitivity - rate, 1)
    return np.where(informed, error, np.inf)


def _middle(values: np.ndarray, cut: int | np.integer[Any]) -> float:
    """The threshold from values[cut] on: halfway to the value below it, or to 0."""
    below = values[cut - 1] if cut else values.dtype.type(0)
    middle = below + (values[cut] - below) / 2
    # Between neighbouring floats there is none, and the lower one would decide otherwise.
    return float(middle if middle > below else values[cut])
