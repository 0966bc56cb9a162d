"""bootstrap: metrics with 95 % intervals, by patients where they are known.

Labels, probabilities and positive as in metrics; groups: the patient of each image, or None.

A resample draws as many patients as there are, with replacement, and takes all images of each:
the images of one patient are alike, and intervals that draw single images come out too narrow.
It is held as weights: how often each image occurs in it.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import binomtest

from malaria.base.proportions import wilson
from malaria.evaluation.metrics import METRICS, Scored, compute_metrics

LEVEL = 0.95
RESAMPLES = 1000
# This many weights are held at a time: 4 MB, which stays in a processor's cache.
WEIGHTS_AT_ONCE = 500_000
# The patient of each image; None where it is not known.
Groups = Sequence[str | None] | None


class Estimate(NamedTuple):
    """A metric and its 95 % interval; None where the labels leave it undefined."""

    value: float | None
    low: float | None
    high: float | None


class Comparison(NamedTuple):
    """One model against another on the same images.

    differences: {metric: Estimate}, one minus other. only_one, only_other: how many images only
    this model has right. p_value: McNemar's, as if images were independent.
    """

    differences: dict[str, Estimate]
    only_one: int
    only_other: int
    p_value: float


def estimate(
    scored: Scored,
    *,
    groups: Groups = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    weights: np.ndarray | None = None,
) -> dict[str, Estimate]:
    """{name of METRICS: Estimate}; intervals are percentile ones (Efron 1979).

    That of the calibration error lies high: a resample is less calibrated than its source. Where
    every image of a share is right, or none, resamples are too: there it is Wilson's, which takes
    images as independent. weights: how often each image counts, (n,); None: once.
    """
    members = group_members(groups, len(scored.predicted))
    each = np.ones(len(members)) if weights is None else weights
    found = _estimate(lambda drawn: compute_metrics(scored, drawn * each), members, resamples, seed)
    return found | dict(_without_spread(found, scored, each))


def compare(
    one: Scored, other: Scored, *, groups: Groups = None, resamples: int = RESAMPLES, seed: int = 0
) -> Comparison:
    """The Comparison on the same resamples: what makes a patient hard for both cancels out."""
    members = group_members(groups, len(one.predicted))

    def difference(weights: np.ndarray) -> np.ndarray:
        return compute_metrics(one, weights) - compute_metrics(other, weights)

    differences = _estimate(difference, members, resamples, seed)
    only_one = int(np.sum(one.is_correct > other.is_correct))
    only_other = int(np.sum(one.is_correct < other.is_correct))
    return Comparison(differences, only_one, only_other, mcnemar(only_one, only_other))


def mcnemar(only_one: int, only_other: int) -> float:
    """The exact p-value of McNemar's test (1947) of equal accuracy; arguments as in Comparison."""
    count = only_one + only_other
    return float(binomtest(only_one, count).pvalue) if count else 1.0


def are_known(groups: Groups) -> bool:
    """True if groups can be resampled: that of every image is known, and there are two."""
    return groups is not None and None not in groups and len(set(groups)) >= 2


def group_members(groups: Groups, count: int) -> np.ndarray:
    """The number of the group of each image, (count,); each is its own if not `are_known`."""
    if groups is not None and are_known(groups):
        return np.unique(np.array(groups, dtype=str), return_inverse=True)[1]
    return np.arange(count)


def draw_weights(members: np.ndarray, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yield (rows, n) floats, `resamples` rows in all: how often each image is in each resample.

    members: as from `group_members`. The same for the same members and seed, on every machine.
    """
    # RandomState, not default_rng: numpy promises its streams never change.
    random = np.random.RandomState(seed)
    groups = members.max() + 1
    at_once = max(1, WEIGHTS_AT_ONCE // len(members))
    for start in range(0, resamples, at_once):
        rows = min(at_once, resamples - start)
        drawn = random.randint(groups, size=(rows, groups)) + groups * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * groups).reshape(rows, groups)
        yield counts[:, members].astype(np.float64)


def _estimate(
    statistic: Callable[[np.ndarray], np.ndarray], members: np.ndarray, resamples: int, seed: int
) -> dict[str, Estimate]:
    """{name: Estimate} of statistic, a function of weights that gives (rows, number of METRICS).

    NaN is left out; where half of the resamples or more are, there is no interval.
    """
    values = statistic(np.ones((1, len(members))))[0]
    drawn = np.concatenate([statistic(each) for each in draw_weights(members, resamples, seed)])
    is_vague = np.isnan(drawn).mean(axis=0) >= 0.5
    percentiles = 50 * (1 - LEVEL), 50 * (1 + LEVEL)
    ends = np.nanpercentile(np.where(is_vague, 0, drawn), percentiles, axis=0)
    rows = np.stack([values, *np.where(is_vague, np.nan, ends)], axis=1)
    return {name: Estimate(*map(defined, row)) for name, row in zip(METRICS, rows, strict=True)}


def _without_spread(
    found: dict[str, Estimate], scored: Scored, weights: np.ndarray
) -> Iterator[tuple[str, Estimate]]:
    """The shares whose interval is only 0 or only 1, with Wilson's instead.

    Images that count differently tell as much as fewer equal ones (Kish 1965).
    """
    # Of a share's images every outcome is one of two, as metrics.Scored has them.
    two = {"sensitivity": [0, 1], "specificity": [2, 3], "precision": [0, 2]}
    shares = {"accuracy": np.ones(len(weights), bool)}
    if scored.outcomes.shape[1]:
        shares |= {name: scored.outcomes[:, ends].sum(axis=1) > 0 for name, ends in two.items()}
    for name, is_counted in shares.items():
        value, low, high = found[name]
        if value in (0, 1) and value == low == high:
            some = weights[is_counted]
            count = float(some.sum() ** 2 / np.square(some).sum())
            yield name, Estimate(value, *wilson(value * count, count))


def defined(number: float) -> float | None:
    """A plain float; None in place of NaN."""
    return None if np.isnan(number) else float(number)
