"""Tests of malaria/evaluation/decisions.py."""

import numpy as np
import pytest

from malaria.evaluation.decisions import decide, from_output, label_probabilities


def test_one_output_is_the_probability_of_the_second_label_and_more_are_those_of_all():
    outputs = np.array([[0.25], [1.0], [0.0]], np.float32)
    np.testing.assert_array_equal(label_probabilities(outputs), [[0.75, 0.25], [0, 1], [1, 0]])
    for row in ([0.25, 0.75], [0.2, 0.3, 0.5], [0.1, 0.2, 0.3, 0.4]):
        np.testing.assert_array_equal(label_probabilities(np.array([row])), [row])


def test_scores_are_divided_by_their_sum_and_one_alone_is_a_probability():
    scores = np.array([[0.9, 0.3], [1.0, 1.0], [0.0, 0.0]], np.float32)
    expected = [[0.75, 0.25], [0.5, 0.5], [np.nan, np.nan]]
    np.testing.assert_allclose(from_output(scores, "scores"), expected, rtol=1e-6)
    np.testing.assert_array_equal(from_output(scores[:, :1], "scores"), scores[:, :1])
    np.testing.assert_array_equal(from_output(scores, "probabilities"), scores)


@pytest.mark.parametrize(
    ("positive", "threshold", "expected"),
    [
        (0, 0.5, [0, 0, 1, 1]),
        (1, 0.5, [0, 1, 1, 1]),
        (0, 0.75, [0, 1, 1, 1]),
        (1, 0.75, [0, 0, 1, 1]),
        (0, 0.25, [0, 0, 0, 1]),
        (1, 0.0, [1, 1, 1, 1]),
        (0, 1.0, [1, 1, 1, 1]),
    ],
)
def test_of_two_labels_the_positive_one_counts_from_the_threshold_on(positive, threshold, expected):
    # The second row is a tie at one half.
    probabilities = np.array([[0.75, 0.25], [0.5, 0.5], [0.25, 0.75], [0.0, 1.0]])
    decided = decide(probabilities, positive=positive, threshold=threshold)
    assert decided.tolist() == expected
    assert decided.dtype.kind == "i"


def test_of_three_labels_the_likeliest_counts_whatever_the_threshold():
    probabilities = np.array([[0.4, 0.35, 0.25], [0.1, 0.2, 0.7], [0.3, 0.4, 0.3]])
    for positive in range(3):
        assert decide(probabilities, positive=positive, threshold=0.01).tolist() == [0, 2, 1]
