"""metrics: the one place where numbers and curves are computed from labels and probabilities.

Everywhere: labels (n,), integers; probabilities (n, number of labels), each row adding up to 1, in
the order of the labels; positive: the index of the positive label.

Every metric is a function of weights, (rows, n): how often each image counts. So the metric itself
(all weights are 1) and its bootstrap resamples come from the same lines.
"""

from typing import NamedTuple

import numpy as np
from sklearn import metrics as sklearn_metrics

from malaria.base.errors import UserError
from malaria.evaluation.decisions import CLIP, decide

METRICS = (
    *("accuracy", "sensitivity", "specificity", "precision", "f1"),
    *("auc", "brier", "calibration_error", "cross_entropy"),
)
BINS = 15
# For the AUC of a label: (order of the images by its probability, where new values start in it,
# whether it is the true label).
Ranking = tuple[np.ndarray, np.ndarray, np.ndarray]


class Scored(NamedTuple):
    """Terms for each of n images, of which the metrics of a model are weighted sums.

    predicted: (n,), integers. is_correct, squared_errors, cross_entropies: (n,). gaps: (n, BINS),
    predicted minus observed in the column of its calibration bin. outcomes: (n, 4), true positive,
    false negative, false positive, true negative; beyond two labels (n, 0).
    """

    predicted: np.ndarray
    is_correct: np.ndarray
    squared_errors: np.ndarray
    cross_entropies: np.ndarray
    gaps: np.ndarray
    outcomes: np.ndarray
    rankings: list[Ranking]


def score(
    labels: np.ndarray, probabilities: np.ndarray, *, positive: int, threshold: float | np.ndarray
) -> Scored:
    """The Scored of a model's answers. threshold: one, or one for each image.

    Raises UserError if there are no images.
    """
    if len(labels) == 0:
        raise UserError("nothing to evaluate: no image could be read and has a known label")
    predicted = decide(probabilities, positive=positive, threshold=threshold)
    probabilities, count = probabilities.astype(np.float64), probabilities.shape[1]
    each, claimed, outcomes = np.arange(len(labels)), predicted, np.empty((len(labels), 0))
    squares = np.square(probabilities - np.eye(count)[labels]).sum(axis=1)
    if count == 2:
        claimed = np.full_like(labels, positive)
        outcomes = np.eye(4)[2 * (labels != positive) + (predicted != positive)]
        squares /= 2  # both labels have the same, and the sum holds it twice
    expected = probabilities[each, claimed]
    return Scored(
        predicted=predicted,
        is_correct=(predicted == labels).astype(np.float64),
        squared_errors=squares,
        cross_entropies=-np.log(probabilities[each, labels].clip(CLIP, 1 - CLIP)),
        gaps=np.eye(BINS)[bin_of(expected)] * (expected - (labels == claimed))[:, None],
        outcomes=outcomes,
        rankings=_rank(labels, probabilities),
    )


def compute_metrics(scored: Scored, weights: np.ndarray | None = None) -> np.ndarray:
    """(rows, number of METRICS) of weights (rows, n); NaN where a metric is undefined.

    weights: None counts each image once. sensitivity, specificity, precision, f1: of the positive
    label; undefined beyond two labels. auc: beyond two labels the mean over each that is there
    against the rest. brier: the mean of (p - y)^2 of the positive label, 0..1; beyond two labels of
    its sum over the labels, 0..2 (Brier 1950). calibration_error: the expected one (Guo et al.
    2017, equation 3), the mean over BINS bins, by their number of images, of |mean predicted - mean
    observed|; predicted is the probability of the positive label, beyond two labels of the
    likeliest. cross_entropy: the mean of -log(probability of the true label), in nats, clipped as
    Keras does.
    """
    if weights is None:
        weights = np.ones((1, len(scored.predicted)))
    total = weights.sum(axis=1)
    aucs = [_auc(weights, ranking) for ranking in scored.rankings]
    values = [
        weights @ scored.is_correct / total,
        *_detection(weights @ scored.outcomes),
        np.mean(aucs or [np.full_like(total, np.nan)], axis=0),
        weights @ scored.squared_errors / total,
        np.abs(weights @ scored.gaps).sum(axis=1) / total,
        weights @ scored.cross_entropies / total,
    ]
    return np.stack(values, axis=1)


def roc_curve(
    labels: np.ndarray, probabilities: np.ndarray, label: int
) -> tuple[np.ndarray, np.ndarray]:
    """(false positive rates, true positive rates) for `label` against the rest."""
    rates = sklearn_metrics.roc_curve(labels == label, probabilities[:, label])
    return rates[:2]


def roc_points(
    labels: np.ndarray, probabilities: np.ndarray, label: int, most: int = 200
) -> dict[str, list[float]]:
    """{"false": [...], "true": [...]}: the rates of roc_curve; both are empty if it is undefined.

    Of more than `most` points those are left out that are within 2 / (most - 1) of one that stays.
    """
    if len(np.unique(labels == label)) < 2:
        return {"false": [], "true": []}
    false, true = roc_curve(labels, probabilities, label)
    if len(false) > most:
        # Both rates only rise, so their sum is a distance along the curve.
        kept = np.unique(np.searchsorted(false + true, np.linspace(0, 2, most)))
        false, true = false[kept], true[kept]
    return {"false": false.tolist(), "true": true.tolist()}


def reliability(
    labels: np.ndarray, probabilities: np.ndarray, label: int, bins: int = BINS
) -> list[dict[str, float]]:
    """[{"predicted", "observed", "count"}] of each bin of P(label) with images, rising.

    predicted: the mean probability; observed: the share of images of that label.
    """
    predicted, observed = probabilities[:, label].astype(np.float64), labels == label
    places = bin_of(predicted, bins)
    return [
        {
            "predicted": float(predicted[inside].mean()),
            "observed": float(observed[inside].mean()),
            "count": int(inside.sum()),
        }
        for inside in (places == place for place in np.unique(places))
    ]


def bin_of(predicted: np.ndarray, bins: int = BINS) -> np.ndarray:
    """The bin, 0..bins-1, of each probability: [0, 1/bins], (1/bins, 2/bins], ..."""
    return np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], predicted, side="left")


def _detection(outcomes: np.ndarray) -> list[np.ndarray]:
    """sensitivity, specificity, precision, f1, each (rows,); NaN beyond two labels."""
    if outcomes.shape[1] == 0:
        return [np.full(len(outcomes), np.nan)] * 4
    tp, fn, fp, tn = outcomes.T
    with np.errstate(invalid="ignore"):
        return [tp / (tp + fn), tn / (tn + fp), tp / (tp + fp), 2 * tp / (2 * tp + fn + fp)]


def _rank(labels: np.ndarray, probabilities: np.ndarray) -> list[Ranking]:
    """The ranking of each label that has an AUC.

    Of two labels the second is ranked, as by the sigmoid: 1 - p has ties where p is tiny.
    """
    rankings, count = [], probabilities.shape[1]
    for label in [1] if count == 2 else range(count):
        is_true = labels == label
        if 0 < is_true.sum() < len(labels):
            order = np.argsort(probabilities[:, label], kind="stable")
            steps = np.diff(probabilities[order, label], prepend=-1)
            rankings.append((order, np.flatnonzero(steps), is_true[order]))
    return rankings


def _auc(weights: np.ndarray, ranking: Ranking) -> np.ndarray:
    """The share of pairs of a true and another image that are in order; a tie is half a pair.

    (rows,); NaN where the label or the others have no weight.
    """
    order, starts, is_true = ranking
    weights = weights[:, order]
    true = np.add.reduceat(weights * is_true, starts, axis=1)
    other = np.add.reduceat(weights * ~is_true, starts, axis=1)
    below = np.cumsum(other, axis=1) - other / 2
    with np.errstate(invalid="ignore"):
        auc: np.ndarray = (true * below).sum(axis=1) / (true.sum(axis=1) * other.sum(axis=1))
    return auc
