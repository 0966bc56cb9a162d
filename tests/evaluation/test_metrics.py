"""Tests of malaria/metrics.py, against figures counted by hand."""

import math

import numpy as np
import pytest

from malaria.evaluation import metrics

# Of four cells of label 0 three are found, of two of label 1 one.
LABELS = np.array([0, 0, 0, 0, 1, 1])
PROBABILITIES = np.array([[0.9, 0.1], [0.8, 0.2], [0.5, 0.5], [0.1, 0.9], [0.4, 0.6], [0.7, 0.3]])
THREE = np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.5, 0.4, 0.1], [0.1, 0.2, 0.7]])


def evaluate(labels, probabilities, names=("Parasitized", "Uninfected"), **settings):
    settings = {"positive": names[0], **settings}
    return metrics.evaluate(np.asarray(labels), probabilities, names=list(names), **settings)


def count_pairs(labels, scores):
    """AUC as the share of pairs that are in the right order; a tie is half a pair."""
    pairs = [(a, b) for a in scores[labels] for b in scores[~labels]]
    return sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs) / len(pairs)


def test_rows_of_the_matrix_are_true_labels_and_columns_predicted_ones():
    assert evaluate(LABELS, PROBABILITIES).confusion == [[3, 1], [1, 1]]
    matrix = metrics.confusion_matrix([0, 0, 2], [1, 1, 0], label_count=3)
    assert matrix.tolist() == [[0, 2, 0], [0, 0, 0], [1, 0, 0]]


@pytest.mark.parametrize(
    ("positive", "sensitivity", "specificity"),
    [("Parasitized", 3 / 4, 1 / 2), ("Uninfected", 1, 1 / 2)],
)
def test_sensitivity_is_the_share_found_of_the_positive_label(positive, sensitivity, specificity):
    # The tie of the third cell goes to whichever label is positive.
    evaluation = evaluate(LABELS, PROBABILITIES, positive=positive, threshold=0.5)
    if positive == "Uninfected":
        assert evaluation.confusion == [[2, 2], [1, 1]]
        sensitivity = 1 / 2
    assert evaluation.sensitivity == sensitivity
    assert evaluation.specificity == specificity


@pytest.mark.parametrize(
    ("threshold", "confusion"),
    [(0.5, [[3, 1], [1, 1]]), (0.51, [[2, 2], [1, 1]]), (0.05, [[4, 0], [2, 0]])],
)
def test_a_higher_threshold_calls_fewer_cells_positive(threshold, confusion):
    evaluation = evaluate(LABELS, PROBABILITIES, threshold=threshold)
    assert evaluation.confusion == confusion
    assert evaluation.accuracy == (confusion[0][0] + confusion[1][1]) / 6
    assert evaluation.count == 6


@pytest.mark.parametrize("seed", range(5))
def test_the_area_under_the_curve_is_the_share_of_pairs_in_order(seed):
    random = np.random.default_rng(seed)
    labels = np.array([0, 1, *random.integers(2, size=40)])
    second = random.integers(10, size=42) / 10
    probabilities = np.stack([1 - second, second], axis=1)
    expected = count_pairs(labels == 1, second)
    assert metrics.area_under_roc(labels, probabilities) == pytest.approx(expected)


def test_the_area_for_three_labels_is_the_mean_over_each_against_the_rest():
    labels = np.array([0, 1, 1, 2])
    expected = np.mean([count_pairs(labels == label, THREE[:, label]) for label in range(3)])
    assert metrics.area_under_roc(labels, THREE) == pytest.approx(expected)


def test_the_roc_curve_of_a_label_rises_with_the_probability_of_that_label():
    false, true = metrics.roc_curve(np.array([0, 0, 1, 1]), THREE[:, [0, 1]], 0)
    # In falling order of the first probability: right, wrong, right, wrong.
    points = set(zip(false.tolist(), true.tolist(), strict=True))
    assert {(0, 0), (0, 0.5), (0.5, 0.5), (0.5, 1), (1, 1)} == points


def test_cross_entropy_is_minus_the_mean_log_of_the_true_labels_probability():
    expected = -sum(map(math.log, [0.9, 0.8, 0.5, 0.1, 0.6, 0.3])) / 6
    assert metrics.cross_entropy(LABELS, PROBABILITIES) == pytest.approx(expected)
    assert evaluate(LABELS, PROBABILITIES).loss == pytest.approx(expected)


def test_a_sure_mistake_costs_as_much_as_in_keras_and_no_more():
    certain = np.array([[1.0, 0.0]], np.float32)
    assert metrics.cross_entropy([1], certain) == pytest.approx(-math.log(1e-7))
    assert metrics.cross_entropy([0], certain) == pytest.approx(1e-7)


def test_three_labels_have_no_sensitivity():
    evaluation = evaluate([0, 1, 1, 2], THREE, names=("a", "b", "c"))
    assert evaluation.confusion == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    assert (evaluation.sensitivity, evaluation.specificity) == (None, None)
    assert evaluation.accuracy == 3 / 4


def test_an_absent_label_leaves_its_figures_undefined_and_the_others_as_they_are():
    evaluation = evaluate(LABELS[:4], PROBABILITIES[:4])
    assert evaluation.confusion == [[3, 1], [0, 0]]
    assert (evaluation.sensitivity, evaluation.accuracy) == (3 / 4, 3 / 4)
    assert math.isnan(evaluation.specificity)
    assert math.isnan(evaluation.auc)


def test_of_three_labels_an_absent_one_has_no_part_in_the_area():
    labels = np.array([0, 1, 1, 1])
    expected = np.mean([count_pairs(labels == label, THREE[:, label]) for label in range(2)])
    evaluation = evaluate(labels, THREE, names=("a", "b", "c"))
    assert evaluation.auc == pytest.approx(expected)
    assert evaluation.confusion[2] == [0, 0, 0]


def test_the_report_names_every_label_in_order():
    report = evaluate(LABELS, PROBABILITIES).report
    rows = [line.split() for line in report.splitlines()]
    assert ["Parasitized", "0.750", "0.750", "0.750", "4"] in rows
    assert ["Uninfected", "0.500", "0.500", "0.500", "2"] in rows


def test_figures_are_plain_numbers_that_json_can_hold():
    evaluation = evaluate(LABELS, PROBABILITIES)
    figures = [evaluation.accuracy, evaluation.loss, evaluation.auc, evaluation.sensitivity]
    assert {type(figure) for figure in figures} == {float}
    assert {type(count) for row in evaluation.confusion for count in row} == {int}
