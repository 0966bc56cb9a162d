"""What the tests of evaluation share: labelled answers, and scikit-learn as a witness."""

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from malaria.evaluation.result import Result


@pytest.fixture
def six_cells():
    """A function: the Result of six cells; of four of label 0 three are found, of two of 1 one."""
    first = np.array([0.9, 0.8, 0.5, 0.1, 0.4, 0.7])

    def make(**changes):
        known = {
            "paths": [f"cells/{number}.png" for number in range(6)],
            "labels": np.array([0, 0, 0, 0, 1, 1]),
            # Written out: 1 - 0.9 is not 0.1.
            "probabilities": np.stack([first, np.round(1 - first, 1)], axis=1),
            "label_names": ("Parasitized", "Uninfected"),
            "positive_label": "Parasitized",
            "threshold": 0.5,
            "resamples": 50,
        }
        return Result(**known | changes)

    return make


@pytest.fixture
def draw():
    """A function that draws (labels, probabilities, groups), with every label and with ties."""

    def draw_some(seed, count=60, label_count=2, patients=8, decimals=2):
        random = np.random.default_rng(seed)
        labels = np.array([*range(label_count), *random.integers(label_count, size=count)])
        weights = random.random((len(labels), label_count)) + 0.5 * np.eye(label_count)[labels]
        probabilities = np.round(weights / weights.sum(axis=1, keepdims=True), decimals)
        probabilities[:, 0] = 1 - probabilities[:, 1:].sum(axis=1)
        groups = [f"C{number}" for number in random.integers(patients, size=len(labels))]
        return labels, probabilities, groups

    return draw_some


@pytest.fixture
def naive_metrics():
    """A function: the metrics of two labels by scikit-learn and loops, in the order of METRICS."""

    def compute(labels, probabilities, positive, threshold):
        truth, scores = labels == positive, probabilities[:, positive]
        called = scores >= threshold
        return [
            sklearn_metrics.accuracy_score(truth, called),
            sklearn_metrics.recall_score(truth, called),
            sklearn_metrics.recall_score(~truth, ~called),
            sklearn_metrics.precision_score(truth, called),
            sklearn_metrics.f1_score(truth, called),
            sklearn_metrics.roc_auc_score(truth, scores),
            sklearn_metrics.brier_score_loss(truth, scores),
            naive_calibration_error(truth, scores),
            sklearn_metrics.log_loss(labels, np.clip(probabilities, 1e-7, 1 - 1e-7)),
        ]

    return compute


@pytest.fixture
def naive_error():
    """A function: the calibration error, from (whether it is so, how probable it was said)."""
    return naive_calibration_error


def naive_calibration_error(truth, scores):
    bins = [[] for _ in range(15)]
    for is_true, score in zip(truth, scores, strict=True):
        place = next(place for place in range(15) if score <= (place + 1) / 15 or place == 14)
        bins[place].append((score, is_true))
    gaps = [abs(sum(score - is_true for score, is_true in members)) for members in bins]
    return sum(gaps) / len(scores)
