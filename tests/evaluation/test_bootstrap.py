"""Tests of malaria/evaluation/bootstrap.py; the witness is a plain loop over resamples."""

import math

import numpy as np
import pytest

from malaria.base.proportions import wilson
from malaria.evaluation import bootstrap
from malaria.evaluation.bootstrap import (
    Estimate,
    are_known,
    compare,
    draw_weights,
    estimate,
    group_members,
    mcnemar,
)
from malaria.evaluation.metrics import METRICS, score

LABELS = np.array([0, 0, 0, 0, 1, 1])
PROBABILITIES = np.array([[0.9, 0.1], [0.8, 0.2], [0.5, 0.5], [0.1, 0.9], [0.4, 0.6], [0.7, 0.3]])
UNDEFINED = Estimate(None, None, None)


def measure(labels, probabilities, *, positive=0, threshold=0.5, **resampling):
    scored = score(labels, probabilities, positive=positive, threshold=threshold)
    return estimate(scored, **resampling)


def compare_at(labels, one, other, thresholds, **resampling):
    first, second = (
        score(labels, probabilities, positive=0, threshold=threshold)
        for probabilities, threshold in zip((one, other), thresholds, strict=True)
    )
    return compare(first, second, **resampling)


def plain_percentiles(statistic, groups, count, resamples, seed):
    """The ends of the interval of a function of images, by a plain loop over resamples."""
    weights = np.concatenate([*draw_weights(group_members(groups, count), resamples, seed)])
    drawn = [statistic(np.repeat(np.arange(count), times)) for times in weights.astype(int)]
    return np.percentile(drawn, [2.5, 97.5], axis=0)


def test_the_order_of_labels_and_of_images_changes_nothing(draw):
    labels, probabilities, groups = draw(0, decimals=9)
    known = {"groups": np.array(groups), "resamples": 50}
    estimates = measure(labels, probabilities, positive=0, **known)
    turned = measure(1 - labels, probabilities[:, ::-1], positive=1, **known)
    order = np.random.default_rng(0).permutation(len(labels))
    known["groups"] = known["groups"][order]
    shuffled = measure(labels[order], probabilities[order], **known)
    assert tuple(estimates) == tuple(turned) == METRICS
    for name in METRICS:
        assert estimates[name] == pytest.approx(turned[name], abs=1e-12)
        assert estimates[name] == pytest.approx(shuffled[name], abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_of_three_labels_the_metrics_that_have_a_meaning_have_an_interval(draw, seed):
    labels, probabilities, groups = draw(seed, label_count=3)
    estimates = measure(labels, probabilities, threshold=0.1, groups=groups, resamples=99)
    for name, one in estimates.items():
        if name in ("sensitivity", "specificity", "precision", "f1"):
            assert one == UNDEFINED
        else:
            assert one.low < one.high


@pytest.mark.parametrize("by_patient", [True, False])
@pytest.mark.parametrize("seed", range(2))
def test_the_intervals_are_the_percentiles_of_a_plain_loop_over_resamples(
    draw, naive_metrics, seed, by_patient
):
    labels, probabilities, groups = draw(seed)
    groups = groups if by_patient else None
    estimates = measure(labels, probabilities, groups=groups, resamples=20, seed=seed)

    def metrics_of(images):
        return naive_metrics(labels[images], probabilities[images], 0, 0.5)

    low, high = plain_percentiles(metrics_of, groups, len(labels), 20, seed)
    assert [one.low for one in estimates.values()] == pytest.approx(low.tolist(), abs=1e-12)
    assert [one.high for one in estimates.values()] == pytest.approx(high.tolist(), abs=1e-12)


@pytest.mark.parametrize("by_patient", [True, False])
def test_the_interval_of_a_difference_is_of_one_minus_other_on_the_same_resamples(
    draw, naive_metrics, by_patient
):
    labels, one, groups = draw(0)
    other = draw(1)[1]
    groups = groups if by_patient else None
    thresholds = (0.5, 0.4)
    comparison = compare_at(labels, one, other, thresholds, groups=groups, resamples=20, seed=3)

    def difference_of(images):
        return np.subtract(
            naive_metrics(labels[images], one[images], 0, thresholds[0]),
            naive_metrics(labels[images], other[images], 0, thresholds[1]),
        )

    ends = plain_percentiles(difference_of, groups, len(labels), 20, 3)
    expected = zip(difference_of(np.arange(len(labels))), *ends, strict=True)
    assert tuple(comparison.differences) == METRICS
    for difference, numbers in zip(comparison.differences.values(), expected, strict=True):
        assert difference == pytest.approx(numbers, abs=1e-12)


def test_a_resample_holds_as_many_patients_as_there_are_and_all_images_of_each():
    members = group_members(["b", "a", "b", "c", "a", "b"], 6)
    assert members.tolist() == [1, 0, 1, 2, 0, 1]
    weights = np.concatenate([*draw_weights(members, 4000, seed=0)])
    assert weights.shape == (4000, 6)
    for first, second in [(0, 2), (0, 5), (1, 4)]:
        np.testing.assert_array_equal(weights[:, first], weights[:, second])
    patients = weights[:, [1, 0, 3]]
    assert set(patients.sum(axis=1)) == {3}
    # Each of 27 draws is as likely: none of a patient in 8, all three of it in 1.
    assert np.mean(patients == 0, axis=0) == pytest.approx([8 / 27] * 3, abs=0.03)
    assert np.mean(patients == 3, axis=0) == pytest.approx([1 / 27] * 3, abs=0.015)


@pytest.mark.parametrize("groups", [None, ["a"] * 6, ["a", "b", "c", "a", "b", None]])
def test_without_two_known_patients_single_images_are_drawn(groups):
    assert not are_known(groups)
    assert group_members(groups, 6).tolist() == [0, 1, 2, 3, 4, 5]
    assert measure(LABELS, PROBABILITIES, groups=groups, resamples=100) == measure(
        LABELS, PROBABILITIES, groups=list("abcdef"), resamples=100
    )


def test_a_seed_gives_the_same_intervals_and_another_one_others(draw):
    labels, probabilities, groups = draw(0)
    known = {"groups": groups, "resamples": 100}
    first, second, third = (measure(labels, probabilities, seed=n, **known) for n in (1, 1, 2))
    assert first == second
    assert [one.value for one in first.values()] == [one.value for one in third.values()]
    assert first["auc"] != third["auc"]


def test_the_resamples_are_the_same_however_many_are_held_at_a_time(monkeypatch):
    members = np.array([0, 1, 1, 2])
    whole = np.concatenate([*draw_weights(members, 10, seed=0)])
    monkeypatch.setattr(bootstrap, "WEIGHTS_AT_ONCE", 12)
    parts = [*draw_weights(members, 10, seed=0)]
    assert [len(part) for part in parts] == [3, 3, 3, 1]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_where_patients_differ_their_interval_is_wider_than_that_of_single_images():
    random = np.random.default_rng(0)
    patients = np.repeat(np.arange(20), 50)
    # Of some patients nearly all cells are found, of others half.
    found = random.random(1000) < np.linspace(0.5, 1, 20)[patients]
    labels = random.integers(2, size=1000)
    second = np.where(found, labels, 1 - labels) * 0.8 + 0.1
    probabilities = np.stack([1 - second, second], axis=1)
    widths = []
    for groups in ([f"C{patient}" for patient in patients], None):
        estimates = measure(labels, probabilities, groups=groups)
        assert estimates["accuracy"].value == np.mean(found)
        widths.append(estimates["accuracy"].high - estimates["accuracy"].low)
    # What theory expects: the spread of 20 shares, and that of 1000 single images.
    shares = [found[patients == patient].mean() for patient in range(20)]
    share = np.mean(found)
    expected = [2 * 1.96 * np.std(shares) / 20**0.5, 2 * 1.96 * (share * (1 - share) / 1000) ** 0.5]
    assert widths == pytest.approx(expected, rel=0.15)
    assert widths[0] > 2 * widths[1]


def test_with_one_label_only_the_metrics_of_the_other_are_none():
    estimates = measure(LABELS[:4], PROBABILITIES[:4])
    undefined = {name for name, one in estimates.items() if one == UNDEFINED}
    assert undefined == {"specificity", "auc"}
    assert estimates["sensitivity"].value == estimates["accuracy"].value == 3 / 4
    assert estimates["precision"] == Estimate(1, *wilson(3, 3))
    # Where nothing is called positive there is no precision.
    estimates = measure(LABELS, PROBABILITIES, threshold=0.95)
    assert estimates["precision"] == UNDEFINED
    assert estimates["f1"].value == 0


def test_resamples_without_a_label_are_left_out_of_an_interval_unless_most_are():
    # The only image of label 1 is in 1 - (3/4)^4 = 68 % of the resamples.
    labels, second = np.array([0, 0, 0, 1]), np.array([0.1, 0.2, 0.3, 0.9])
    estimates = measure(labels, np.stack([1 - second, second], axis=1), positive=1)
    assert estimates["auc"] == Estimate(1, 1, 1)
    assert estimates["sensitivity"] == Estimate(1, *wilson(1, 1))
    # All of three labels are in 6 of 27 resamples of three images.
    estimates = measure(np.arange(3), np.eye(3))
    assert estimates["auc"] == Estimate(1, None, None)
    assert estimates["accuracy"] == Estimate(1, *wilson(3, 3))


@pytest.mark.parametrize(("factor", "low"), [(1.0, 0.7225), (-1.0, 0.0)])
def test_a_share_without_an_error_is_not_said_to_be_sure(factor, low):
    # Ten images of each label; Wilson's bounds of 10 of 10 are .7225 and 1.
    labels = np.repeat([0, 1], 10)
    first = 0.5 + factor * np.where(labels == 0, 0.4, -0.4)
    probabilities = np.stack([first, 1 - first], axis=1)
    for one in (measure(labels, probabilities)[name] for name in ("sensitivity", "specificity")):
        assert one.low == pytest.approx(low, abs=1e-4)
        assert one.high == pytest.approx(low + 0.2775, abs=1e-4)
    # Of images that count 9, 1, ... times ten tell as much as 18^2 / 90 = 3.6 equal ones.
    weights = np.where(np.arange(20) % 10, 1.0, 9.0)
    weighted = measure(labels, probabilities, weights=weights)["sensitivity"]
    assert weighted[1:] == pytest.approx(wilson(3.6 * weighted.value, 3.6))


def test_the_images_that_only_one_model_has_right_are_counted_for_each():
    comparison = compare_at(LABELS, PROBABILITIES, PROBABILITIES, (0.5, 0.5))
    assert set(comparison.differences.values()) == {Estimate(0, 0, 0)}
    assert (comparison.only_one, comparison.only_other, comparison.p_value) == (0, 0, 1)
    # At 0.95 all are called Uninfected: right in the two of label 1, wrong in the others.
    comparison = compare_at(LABELS, PROBABILITIES, PROBABILITIES, (0.5, 0.95))
    assert (comparison.only_one, comparison.only_other) == (3, 1)
    assert comparison.p_value == mcnemar(3, 1)
    assert comparison.differences["precision"] == UNDEFINED


@pytest.mark.parametrize(("only_one", "only_other"), [(3, 1), (0, 5), (10, 20), (7, 7), (0, 0)])
def test_mcnemars_p_is_the_share_of_coin_throws_at_least_as_uneven(only_one, only_other):
    count = only_one + only_other
    uneven = abs(only_one - only_other)
    ways = sum(math.comb(count, k) for k in range(count + 1) if abs(2 * k - count) >= uneven)
    assert mcnemar(only_one, only_other) == pytest.approx(ways / 2**count)
