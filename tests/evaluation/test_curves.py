"""Tests of the curves of malaria/evaluation/metrics.py."""

import numpy as np
import pytest

from malaria.evaluation import metrics


def roc_points(result, **known):
    return metrics.roc_points(result.labels, result.probabilities, result.positive, **known)


def reliability(result, **known):
    return metrics.reliability(result.labels, result.probabilities, result.positive, **known)


def test_reliability_has_the_means_of_each_bin_with_images(six_cells):
    assert reliability(six_cells(), bins=2) == [
        {"predicted": pytest.approx((0.5 + 0.1 + 0.4) / 3), "observed": 2 / 3, "count": 3},
        {"predicted": pytest.approx((0.9 + 0.8 + 0.7) / 3), "observed": 2 / 3, "count": 3},
    ]


def test_probabilities_of_exactly_0_and_1_are_in_the_outer_bins(six_cells):
    certain = six_cells(
        paths=["a", "b"],
        labels=np.array([1, 1]),
        probabilities=np.array([[0.0, 1.0], [1.0, 0.0]]),
        positive_label="Uninfected",
    )
    assert reliability(certain) == [
        {"predicted": 0, "observed": 1, "count": 1},
        {"predicted": 1, "observed": 1, "count": 1},
    ]


@pytest.mark.parametrize("positive", ["Parasitized", "Uninfected"])
def test_the_calibration_error_is_the_mean_gap_of_the_reliability_curve(draw, six_cells, positive):
    labels, probabilities, _ = draw(0, count=300)
    result = six_cells(
        labels=labels, probabilities=probabilities.astype(np.float32), positive_label=positive
    )
    bins = reliability(result)
    gaps = [point["count"] * abs(point["predicted"] - point["observed"]) for point in bins]
    expected = sum(gaps) / len(labels)
    assert result.values["calibration_error"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("most", [2, 20, 200])
def test_near_every_point_that_a_thinned_roc_curve_lacks_there_is_one_that_it_has(
    draw, six_cells, most
):
    labels, probabilities, _ = draw(0, count=3000, decimals=6)
    result = six_cells(labels=labels, probabilities=probabilities)
    whole = roc_points(result, most=10_000)
    thin = roc_points(result, most=most)
    assert len(thin["false"]) <= most < len(whole["false"])
    for rates in thin.values():
        assert (rates[0], rates[-1]) == (0, 1)
        assert rates == sorted(rates)
    for false, true in zip(whole["false"], whole["true"], strict=True):
        along, up = np.subtract(false, thin["false"]), np.subtract(true, thin["true"])
        assert np.min(np.abs(along) + np.abs(up)) <= 2 / (most - 1) + 1e-12


def test_a_short_roc_curve_stays_as_it_is(six_cells):
    result = six_cells(
        labels=np.array([0, 0, 1, 1]), probabilities=np.array([[0.9, 0.1], [0.4, 0.6]] * 2)
    )
    assert roc_points(result) == {"false": [0, 0.5, 1], "true": [0, 0.5, 1]}


def test_without_both_labels_there_is_no_roc_curve(six_cells):
    assert roc_points(six_cells().of(np.arange(4))) == {"false": [], "true": []}


def test_of_three_labels_the_curve_is_of_the_positive_one_against_the_rest(six_cells):
    result = six_cells(
        labels=np.array([0, 1, 2]),
        probabilities=np.eye(3),
        label_names=("a", "b", "c"),
        positive_label="b",
    )
    assert roc_points(result) == {"false": [0, 0, 1], "true": [0, 1, 1]}
    assert [point["count"] for point in reliability(result)] == [2, 1]
