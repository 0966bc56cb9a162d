"""metrics: the one place where numbers are computed from labels and probabilities.

Everywhere: labels (n,), integers; probabilities (n, number of labels), each row adding up to 1, in
the order of the labels; positive: the place of the positive label; of a matrix, rows are true
labels and columns are predicted labels.

Every metric is a function of weights, (rows, n): how often each image counts. So the metric itself
(all weights are 1) and its bootstrap resamples come from the same lines.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from sklearn import metrics as sklearn_metrics

from malaria.base.errors import UserError
from malaria.base.text import printable
from malaria.evaluation.decisions import decide
from malaria.evaluation.temperature import CLIP

METRICS = (
    *("accuracy", "sensitivity", "specificity", "precision", "f1"),
    *("auc", "brier", "calibration_error", "cross_entropy"),
)
BINS = 15
# What a label is ranked by for its AUC: (order of the images by its probability, where new values
# start, whether it is the true label).
Ranking = tuple[np.ndarray, np.ndarray, np.ndarray]


class Scored(NamedTuple):
    """What the metrics of a model are sums of, for n images.

    predicted: (n,), integers. columns: (n, 3 + BINS), and 4 more for two labels: whether the image
    is right, its squared error, its cross-entropy, predicted minus observed in the column of its
    bin; found, missed, false alarm, cleared. rankings: for the AUC.
    """

    predicted: np.ndarray
    columns: np.ndarray
    rankings: list[Ranking]


def score(
    labels: np.ndarray,
    probabilities: np.ndarray,
    *,
    positive: int,
    threshold: float | np.ndarray,
) -> Scored:
    """The Scored of a model's answers. threshold: one, or one for each image.

    Raises UserError if there are no images.
    """
    if len(labels) == 0:
        raise UserError("nothing to evaluate: no image could be read and has a known label")
    predicted = decide(probabilities, positive=positive, threshold=threshold)
    probabilities = probabilities.astype(np.float64)
    columns = [
        (predicted == labels)[:, None],
        _squared_errors(labels, probabilities)[:, None],
        _cross_entropies(labels, probabilities)[:, None],
        _gaps(labels, probabilities, predicted, positive),
    ]
    if probabilities.shape[1] == 2:
        columns.append(_outcomes(labels == positive, predicted == positive))
    return Scored(predicted, np.concatenate(columns, axis=1), _rank(labels, probabilities))


def compute_metrics(scored: Scored, weights: np.ndarray | None = None) -> np.ndarray:
    """(rows, number of METRICS) of weights (rows, n); NaN where a metric is undefined.

    weights: None counts each image once. sensitivity, specificity, precision and f1 are of the
    positive label, and undefined beyond two labels. auc: beyond two labels the mean over each that
    is there against the rest. brier: the mean of (p - y)^2 of the positive label, 0..1; beyond two
    labels of its sum over the labels, 0..2 (Brier 1950). calibration_error: the expected one (Guo
    et al. 2017, equation 3), the mean over BINS bins, by their number of images, of |mean predicted
    - mean observed|; predicted is the probability of the positive label, beyond two labels, as in
    the paper, of the likeliest. cross_entropy: the mean of -log(probability of the true label), in
    nats, clipped as Keras does.
    """
    if weights is None:
        weights = np.ones((1, len(scored.predicted)))
    sums = weights @ scored.columns
    # What is detected stays in counts, whose shares are exact.
    means, outcomes = np.split(sums, [3 + BINS], axis=1)
    means = means / weights.sum(axis=1, keepdims=True)
    right, squares, entropies, gaps = np.split(means, [1, 2, 3], axis=1)
    values = [
        right[:, 0],
        *_detection(outcomes),
        _mean_auc(weights, scored.rankings),
        squares[:, 0],
        np.abs(gaps).sum(axis=1),
        entropies[:, 0],
    ]
    return np.stack(values, axis=1)


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, *, label_count: int) -> np.ndarray:
    """Counts, (label_count, label_count): row = true label, column = predicted label."""
    cells = np.bincount(labels * label_count + predicted, minlength=label_count**2)
    return cells.reshape(label_count, label_count)


def classification_report(
    labels: np.ndarray, predicted: np.ndarray, label_names: Sequence[str]
) -> str:
    """scikit-learn's table of precision, recall and F1 by label, as text that can be printed."""
    report: str = sklearn_metrics.classification_report(
        labels,
        predicted,
        labels=range(len(label_names)),
        target_names=[printable(name) for name in label_names],
        digits=3,
        zero_division=0.0,
    )
    return report


def roc_curve(
    labels: np.ndarray, probabilities: np.ndarray, label: int
) -> tuple[np.ndarray, np.ndarray]:
    """(false positive rates, true positive rates) for `label` against the rest."""
    false, true, _ = sklearn_metrics.roc_curve(labels == label, probabilities[:, label])
    return false, true


def bin_of(predicted: np.ndarray, bins: int = BINS) -> np.ndarray:
    """The bin, 0..bins-1, of each probability: [0, 1/bins], (1/bins, 2/bins], ...

    Guo et al. 2017 write it ((m - 1)/M, m/M].
    """
    return np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], predicted, side="left")


def _squared_errors(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    count = probabilities.shape[1]
    errors: np.ndarray = np.square(probabilities - np.eye(count)[labels]).sum(axis=1)
    # Both of two labels have the same square; their sum holds it twice.
    return errors / 2 if count == 2 else errors


def _cross_entropies(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    true = probabilities[np.arange(len(labels)), labels]
    return -np.log(true.clip(CLIP, 1 - CLIP))


def _gaps(
    labels: np.ndarray, probabilities: np.ndarray, predicted: np.ndarray, positive: int
) -> np.ndarray:
    """(n, BINS): predicted minus observed in the column of the bin."""
    is_binary = probabilities.shape[1] == 2
    claimed = np.full(len(labels), positive) if is_binary else predicted
    expected = probabilities[np.arange(len(labels)), claimed]
    return np.eye(BINS)[bin_of(expected)] * (expected - (labels == claimed))[:, None]


def _outcomes(is_positive: np.ndarray, is_called: np.ndarray) -> np.ndarray:
    """(n, 4): found, missed, false alarm, cleared."""
    return np.stack(
        [
            is_positive & is_called,
            is_positive & ~is_called,
            ~is_positive & is_called,
            ~is_positive & ~is_called,
        ],
        axis=1,
    )


def _detection(outcomes: np.ndarray) -> list[np.ndarray]:
    """sensitivity, specificity, precision, f1, each (rows,); NaN beyond two labels."""
    if outcomes.shape[1] == 0:
        return [np.full(len(outcomes), np.nan)] * 4
    found, missed, alarms, cleared = outcomes.T
    shares = [
        (found, found + missed),
        (cleared, cleared + alarms),
        (found, found + alarms),
        (2 * found, 2 * found + missed + alarms),
    ]
    with np.errstate(invalid="ignore"):
        return [part / whole for part, whole in shares]


def _rank(labels: np.ndarray, probabilities: np.ndarray) -> list[Ranking]:
    """The ranking of each label that has an AUC.

    Of two labels the second is ranked, as by the sigmoid: 1 - p has ties where p is tiny.
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


def _mean_auc(weights: np.ndarray, rankings: list[Ranking]) -> np.ndarray:
    """The mean of the AUCs of all `rankings`, (rows,); NaN where a label has no weight."""
    if not rankings:
        return np.full(len(weights), np.nan)
    mean: np.ndarray = np.mean([_auc(weights, *ranking) for ranking in rankings], axis=0)
    return mean


def _auc(
    weights: np.ndarray, order: np.ndarray, starts: np.ndarray, is_true: np.ndarray
) -> np.ndarray:
    """The share of pairs of a true and another image that are in order; a tie is half a pair."""
    weights = weights[:, order]
    true = np.add.reduceat(weights * is_true, starts, axis=1)
    other = np.add.reduceat(weights * ~is_true, starts, axis=1)
    below = np.cumsum(other, axis=1) - other / 2
    with np.errstate(invalid="ignore"):
        auc: np.ndarray = (true * below).sum(axis=1) / (true.sum(axis=1) * other.sum(axis=1))
    return auc
