"""bootstrap: figures of labelled predictions with 95 % intervals, by patients where they are known.

Everywhere: labels (n,), integers; probabilities (n, number of labels), each row adding up to 1, in
the order of the labels; positive: the place of the positive label; groups: the patient of each
image, a list of n texts, or None.

A resample draws as many patients as there are, with replacement, and takes all images of each:
the images of one patient are alike, and intervals that draw single images come out too narrow.
It is held as weights: how often each image occurs in it. Every figure is a function of weights, so
the figure itself (all weights are 1) and its resamples come from the same lines.
"""

from typing import NamedTuple

import numpy as np
from scipy.stats import binomtest

from malaria.base.errors import UserError
from malaria.evaluation.decisions import decide

FIGURES = (
    *("accuracy", "sensitivity", "specificity", "precision", "f1"),
    *("auc", "brier", "calibration_error"),
)
LEVEL = 0.95
BINS = 15
# So many weights are held at a time: 4 MB, which stays in a processor's cache.
WEIGHTS_AT_ONCE = 500_000


class Figure(NamedTuple):
    """A figure and its 95 % interval; None where the labels leave it undefined."""

    value: float | None
    low: float | None
    high: float | None


class Comparison(NamedTuple):
    """One model against another on the same images.

    differences: {name: Figure}, one minus other. only_one, only_other: how many images only that
    model has right. p_value: McNemar's, which takes images as independent of each other.
    """

    differences: dict[str, Figure]
    only_one: int
    only_other: int
    p_value: float


def measure(labels, probabilities, *, positive, threshold, groups=None, resamples=1000, seed=0):
    """{name of FIGURES: Figure}. Raises UserError if there are no images.

    sensitivity, specificity, precision and f1 are of the positive label, and None beyond two
    labels. auc: beyond two labels the mean over each that is there against the rest. brier: the
    mean of (p - y)^2 of the positive label, 0..1; beyond two labels of its sum over the labels,
    0..2 (Brier 1950). calibration_error: the expected one (Guo et al. 2017, equation 3), which is
    the mean over BINS bins, by their number of images, of |mean predicted - mean observed|.
    Predicted is the probability of the positive label, observed whether that is the true one;
    beyond two labels, as in the paper, both are of the likeliest label.

    The interval is the percentile one (Efron 1979); resamples that lack a label are left out. That
    of the calibration error lies high: a resample is less calibrated than what it is drawn from.
    """
    scored = _prepare(labels, probabilities, positive, threshold)
    members = group_members(groups, len(labels))
    return _estimate(lambda weights: _figures(scored, weights), members, resamples, seed)


def compare(labels, one, other, *, positive, thresholds, groups=None, resamples=1000, seed=0):
    """The Comparison of the probabilities of two models; thresholds: of one and of other.

    Both are measured on the same resamples: what makes a patient hard for both cancels out.
    """
    one = _prepare(labels, one, positive, thresholds[0])
    other = _prepare(labels, other, positive, thresholds[1])
    differences = _estimate(
        lambda weights: _figures(one, weights) - _figures(other, weights),
        *(group_members(groups, len(labels)), resamples, seed),
    )
    only_one = int(np.sum((one.predicted == labels) & (other.predicted != labels)))
    only_other = int(np.sum((one.predicted != labels) & (other.predicted == labels)))
    return Comparison(differences, only_one, only_other, mcnemar(only_one, only_other))


def mcnemar(only_one, only_other):
    """The exact p-value of McNemar's test (1947): are both models right equally often?

    The arguments count the images that only one of them has right.
    """
    count = only_one + only_other
    return float(binomtest(only_one, count).pvalue) if count else 1.0


def are_known(groups):
    """Whether whole groups can be drawn: the patient of every image is known, and there are two."""
    return groups is not None and None not in groups and len(set(groups)) >= 2


def group_members(groups, count):
    """The number of the group of each image, (count,); each is its own if not `are_known`."""
    if are_known(groups):
        return np.unique(groups, return_inverse=True)[1]
    return np.arange(count)


def draw_weights(members, resamples, seed):
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


def bin_of(predicted, bins=BINS):
    """The bin, 0..bins-1, of each probability: [0, 1/bins], (1/bins, 2/bins], ...

    Guo et al. 2017 write it ((m - 1)/M, m/M].
    """
    return np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], predicted, side="left")


def _estimate(statistic, members, resamples, seed):
    """{name: Figure} of statistic, a function of weights that gives (rows, number of FIGURES)."""
    values = statistic(np.ones((1, len(members))))[0]
    drawn = [statistic(weights) for weights in draw_weights(members, resamples, seed)]
    columns = np.concatenate(drawn).T
    return {
        name: Figure(*(_plain(number) for number in (value, *_interval(column))))
        for name, value, column in zip(FIGURES, values, columns, strict=True)
    }


def _interval(drawn):
    """The (low, high) percentiles; NaN if half of the resamples or more are."""
    valid = drawn[~np.isnan(drawn)]
    if 2 * len(valid) <= len(drawn):
        return np.nan, np.nan
    return np.percentile(valid, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])


def _plain(number):
    return None if np.isnan(number) else float(number)


class _Scored(NamedTuple):
    """What the figures of a model are sums of, for k labels and n images.

    columns: (n, k * k + 1 + BINS): 1 at [true * k + predicted]; the squared error; predicted minus
    observed, in the column of its bin. rankings: for the AUC, see `_rank`.
    """

    positive: int
    label_count: int
    predicted: np.ndarray
    columns: np.ndarray
    rankings: list


def _prepare(labels, probabilities, positive, threshold):
    if len(labels) == 0:
        raise UserError("nothing to evaluate: no image could be read and has a known label")
    predicted = decide(probabilities, positive=positive, threshold=threshold)
    probabilities = probabilities.astype(np.float64)
    count = probabilities.shape[1]
    confusion = np.eye(count * count)[labels * count + predicted]
    squares = np.square(probabilities - np.eye(count)[labels]).sum(axis=1, keepdims=True)
    # Both of two labels have the same square; their sum holds it twice.
    errors = squares / 2 if count == 2 else squares
    claimed = np.full(len(labels), positive) if count == 2 else predicted
    expected = probabilities[np.arange(len(labels)), claimed]
    gaps = np.eye(BINS)[bin_of(expected)] * (expected - (labels == claimed))[:, None]
    columns = np.concatenate([confusion, errors, gaps], axis=1)
    return _Scored(positive, count, predicted, columns, _rank(labels, probabilities))


def _rank(labels, probabilities):
    """For each label with an AUC: (order by its probability, where new values start, is it true).

    Of two labels the second is ranked, as in metrics: 1 - p has ties where p is tiny.
    """
    count = probabilities.shape[1]
    rankings = []
    for label in [1] if count == 2 else range(count):
        is_true = labels == label
        if 0 < is_true.sum() < len(labels):
            order = np.argsort(probabilities[:, label], kind="stable")
            steps = np.diff(probabilities[order, label], prepend=-1)
            rankings.append((order, np.flatnonzero(steps), is_true[order]))
    return rankings


def _figures(scored, weights):
    """(rows, number of FIGURES) of weights (rows, n); NaN where a figure is undefined."""
    count = scored.label_count
    sums = weights @ scored.columns
    total = weights.sum(axis=1)
    confusion = sums[:, : count * count].reshape(-1, count, count)
    figures = [
        np.trace(confusion, axis1=1, axis2=2) / total,
        *_detection(confusion, scored.positive),
        _mean_auc(weights, scored.rankings),
        sums[:, count * count] / total,
        np.abs(sums[:, count * count + 1 :]).sum(axis=1) / total,
    ]
    return np.stack(figures, axis=1)


def _detection(confusion, positive):
    """sensitivity, specificity, precision, f1 of (rows, k, k), each (rows,); NaN for k > 2."""
    if confusion.shape[1] > 2:
        return np.full((4, len(confusion)), np.nan)
    found, missed = confusion[:, positive, positive], confusion[:, positive, 1 - positive]
    alarms, cleared = confusion[:, 1 - positive, positive], confusion[:, 1 - positive, 1 - positive]
    shares = [
        (found, found + missed),
        (cleared, cleared + alarms),
        (found, found + alarms),
        (2 * found, 2 * found + missed + alarms),
    ]
    with np.errstate(invalid="ignore"):
        return [part / whole for part, whole in shares]


def _mean_auc(weights, rankings):
    """The mean of the AUCs of all `rankings`, (rows,); NaN where a label has no weight."""
    if not rankings:
        return np.full(len(weights), np.nan)
    return np.mean([_auc(weights, *ranking) for ranking in rankings], axis=0)


def _auc(weights, order, starts, is_true):
    """The share of pairs of a true and another image that are in order; a tie is half a pair."""
    weights = weights[:, order]
    true = np.add.reduceat(weights * is_true, starts, axis=1)
    other = np.add.reduceat(weights * ~is_true, starts, axis=1)
    below = np.cumsum(other, axis=1) - other / 2
    with np.errstate(invalid="ignore"):
        return (true * below).sum(axis=1) / (true.sum(axis=1) * other.sum(axis=1))
