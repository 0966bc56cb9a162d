"""Tests of malaria/evaluation/metrics.py against hand counts, scikit-learn and plain loops."""

import math

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from malaria.data.dataset import LABELS as NAMES
from malaria.evaluation import metrics
from malaria.evaluation.metrics import METRICS, bin_of, compute_metrics, score

# Of four cells of label 0 three are found, of two of label 1 one.
LABELS = np.array([0, 0, 0, 0, 1, 1])
PROBABILITIES = np.array([[0.9, 0.1], [0.8, 0.2], [0.5, 0.5], [0.1, 0.9], [0.4, 0.6], [0.7, 0.3]])
THREE = np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.5, 0.4, 0.1], [0.1, 0.2, 0.7]])


def measure(labels, probabilities, positive=0, threshold=0.5):
    scored = score(np.asarray(labels), probabilities, positive=positive, threshold=threshold)
    [row] = compute_metrics(scored)
    return dict(zip(METRICS, row.tolist(), strict=True))


def answers(result):
    return result.labels, result.probabilities, result.positive


# The tie of the third cell goes to whichever label is positive.
@pytest.mark.parametrize(
    ("positive", "threshold", "matrix", "sensitivity", "specificity"),
    [
        (0, 0.5, [[3, 1], [1, 1]], 3 / 4, 1 / 2),
        (1, 0.5, [[2, 2], [1, 1]], 1 / 2, 1 / 2),
        (0, 0.51, [[2, 2], [1, 1]], 1 / 2, 1 / 2),
        (0, 0.05, [[4, 0], [2, 0]], 1, 0),
    ],
)
def test_rows_are_true_labels_and_sensitivity_is_the_share_found_of_the_positive_one(
    six_cells, positive, threshold, matrix, sensitivity, specificity
):
    result = six_cells(positive_label=NAMES[positive], threshold=threshold)
    assert result.confusion == matrix
    found = measure(LABELS, PROBABILITIES, positive, threshold)
    assert (found["sensitivity"], found["specificity"]) == (sensitivity, specificity)
    assert found["accuracy"] == (matrix[0][0] + matrix[1][1]) / 6


@pytest.mark.parametrize("threshold", [0.5, 0.4])
@pytest.mark.parametrize("positive", [0, 1])
@pytest.mark.parametrize("seed", range(4))
def test_the_metrics_are_those_of_scikit_learn(draw, naive_metrics, seed, positive, threshold):
    labels, probabilities, _ = draw(seed)
    found = measure(labels, probabilities, positive, threshold)
    expected = naive_metrics(labels, probabilities, positive, threshold)
    assert list(found.values()) == pytest.approx(expected, abs=1e-12)


def test_the_metrics_of_six_cells_counted_by_hand():
    accuracy, *rates, auc, brier, _, cross_entropy = measure(LABELS, PROBABILITIES).values()
    assert accuracy == 4 / 6
    assert rates == [3 / 4, 1 / 2, 3 / 4, 3 / 4]
    assert auc == (2 + 2 + 1 + 0) / 8
    assert brier == pytest.approx((0.01 + 0.04 + 0.25 + 0.81 + 0.16 + 0.49) / 6)
    logarithms = map(math.log, [0.9, 0.8, 0.5, 0.1, 0.6, 0.3])
    assert cross_entropy == pytest.approx(-sum(logarithms) / 6)


@pytest.mark.parametrize("seed", range(3))
def test_weights_count_an_image_as_often_as_they_say(draw, seed):
    labels, probabilities, _ = draw(seed)
    random = np.random.default_rng(seed)
    weights = random.integers(4, size=(5, len(labels)))
    scored = score(labels, probabilities, positive=0, threshold=0.5)
    for row, times in zip(compute_metrics(scored, weights.astype(float)), weights, strict=True):
        images = np.repeat(np.arange(len(labels)), times)
        expected = list(measure(labels[images], probabilities[images]).values())
        assert row.tolist() == pytest.approx(expected, abs=1e-12)


def test_the_roc_curve_of_a_label_rises_with_the_probability_of_that_label():
    false, true = metrics.roc_curve(np.array([0, 0, 1, 1]), THREE[:, [0, 1]], 0)
    # In falling order of the first probability: right, wrong, right, wrong.
    points = set(zip(false.tolist(), true.tolist(), strict=True))
    assert {(0, 0), (0, 0.5), (0.5, 0.5), (0.5, 1), (1, 1)} == points


def test_a_sure_mistake_costs_as_much_as_in_keras_and_no_more():
    certain = np.array([[1.0, 0.0]], np.float32)
    assert measure([1], certain)["cross_entropy"] == pytest.approx(-math.log(1e-7))
    assert measure([0], certain)["cross_entropy"] == pytest.approx(1e-7)


@pytest.mark.parametrize("seed", range(3))
def test_three_labels_have_the_metrics_that_have_a_meaning(draw, naive_error, seed):
    labels, probabilities, _ = draw(seed, label_count=3)
    best = probabilities.argmax(axis=1)
    of_truth = probabilities[np.arange(len(labels)), labels]
    areas = [sklearn_metrics.roc_auc_score(labels == n, probabilities[:, n]) for n in range(3)]
    expected = {
        "accuracy": np.mean(best == labels),
        "auc": np.mean(areas),
        "brier": ((probabilities - np.eye(3)[labels]) ** 2).sum(axis=1).mean(),
        "calibration_error": naive_error(best == labels, probabilities.max(axis=1)),
        "cross_entropy": -np.log(of_truth).mean(),
    }
    found = measure(labels, probabilities, threshold=0.1)
    defined = {name: number for name, number in found.items() if not math.isnan(number)}
    assert defined == pytest.approx(expected)


def test_of_the_two_rates_that_of_an_absent_label_is_undefined():
    probabilities = np.array([[0.75, 0.25], [0.25, 0.75]])
    positives, negatives = measure([1, 1], probabilities, 1), measure([0, 0], probabilities, 1)
    assert positives["sensitivity"] == negatives["specificity"] == 0.5
    assert math.isnan(positives["specificity"])
    assert math.isnan(negatives["sensitivity"])


def test_of_three_labels_an_absent_one_has_no_part_in_the_area():
    labels = np.array([0, 1, 1, 1])
    areas = [sklearn_metrics.roc_auc_score(labels == n, THREE[:, n]) for n in range(2)]
    assert measure(labels, THREE)["auc"] == pytest.approx(np.mean(areas))


def test_a_bin_holds_its_upper_end_and_the_first_holds_both():
    assert bin_of(np.array([0, 0.2, 0.21, 0.4, 0.8, 0.81, 1]), 5).tolist() == [0, 0, 1, 1, 3, 4, 4]


def test_reliability_has_the_means_of_each_bin_with_images(six_cells):
    assert metrics.reliability(*answers(six_cells()), bins=2) == [
        {"predicted": pytest.approx((0.5 + 0.1 + 0.4) / 3), "observed": 2 / 3, "count": 3},
        {"predicted": pytest.approx((0.9 + 0.8 + 0.7) / 3), "observed": 2 / 3, "count": 3},
    ]


@pytest.mark.parametrize("positive", ["Parasitized", "Uninfected"])
def test_the_calibration_error_is_the_mean_gap_of_the_reliability_curve(draw, six_cells, positive):
    labels, probabilities, _ = draw(0, count=300)
    known = {"labels": labels, "probabilities": probabilities.astype(np.float32)}
    result = six_cells(**known, positive_label=positive)
    bins = metrics.reliability(*answers(result))
    gaps = [point["count"] * abs(point["predicted"] - point["observed"]) for point in bins]
    expected = sum(gaps) / len(labels)
    assert result.values["calibration_error"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("most", [2, 20, 200])
def test_near_every_point_that_a_thinned_roc_curve_lacks_there_is_one_that_it_has(
    draw, six_cells, most
):
    labels, probabilities, _ = draw(0, count=3000, decimals=6)
    result = six_cells(labels=labels, probabilities=probabilities)
    whole, thin = (metrics.roc_points(*answers(result), most=n) for n in (10_000, most))
    assert len(thin["false"]) <= most < len(whole["false"])
    for rates in thin.values():
        assert (rates[0], rates[-1]) == (0, 1)
        assert rates == sorted(rates)
    for false, true in zip(whole["false"], whole["true"], strict=True):
        along, up = np.subtract(false, thin["false"]), np.subtract(true, thin["true"])
        assert np.min(np.abs(along) + np.abs(up)) <= 2 / (most - 1) + 1e-12


def test_a_short_roc_curve_stays_as_it_is_and_without_both_labels_there_is_none(six_cells):
    labels, probabilities = np.array([0, 0, 1, 1]), np.array([[0.9, 0.1], [0.4, 0.6]] * 2)
    points = metrics.roc_points(labels, probabilities, 0)
    assert points == {"false": [0, 0.5, 1], "true": [0, 0.5, 1]}
    one_label = answers(six_cells().of(np.arange(4)))
    assert metrics.roc_points(*one_label) == {"false": [], "true": []}


def test_of_three_labels_the_curve_is_of_the_positive_one_against_the_rest():
    answers = np.arange(3), np.eye(3), 1
    assert metrics.roc_points(*answers) == {"false": [0, 0, 1], "true": [0, 1, 1]}
    assert [point["count"] for point in metrics.reliability(*answers)] == [2, 1]
