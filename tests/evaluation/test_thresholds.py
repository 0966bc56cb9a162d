"""Tests of malaria/evaluation/thresholds.py, against every threshold that could be chosen."""

import numpy as np
import pytest

from malaria.base.errors import UserError
from malaria.evaluation.decisions import decide
from malaria.evaluation.thresholds import choose_threshold, parse_rule

RULES = ["youden", "counting", "sensitivity>=0.98", "sensitivity>=0.6", "sensitivity>=1"]


def two_columns(scores, positive=1):
    """(n, 2) probabilities with `scores` in the column of the positive label."""
    columns = [1 - np.asarray(scores), np.asarray(scores)]
    return np.stack(columns if positive == 1 else columns[::-1], axis=1)


def draw(seed, positive, decimals):
    """Small random data with both labels; few decimals make many ties."""
    random = np.random.default_rng(seed)
    labels = np.array([0, 1, *random.integers(2, size=random.integers(30))])
    scores = np.clip(random.normal(0.4 + 0.2 * (labels == positive), 0.2), 0, 1)
    return labels, two_columns(np.round(scores, decimals), positive)


def rates(labels, probabilities, positive, threshold):
    """(sensitivity, specificity)"""
    called, is_positive = probabilities[:, positive] >= threshold, labels == positive
    return called[is_positive].mean(), (~called[~is_positive]).mean()


@pytest.mark.parametrize("positive", [0, 1])
@pytest.mark.parametrize("decimals", [1, 6])
@pytest.mark.parametrize("seed", range(10))
def test_no_other_threshold_has_a_greater_youden_index(seed, decimals, positive):
    labels, probabilities = draw(seed, positive, decimals)
    chosen = choose_threshold(labels, probabilities, positive=positive, rule="youden")
    every = [*np.linspace(0, 1, 101), *np.unique(probabilities[:, positive]), chosen]
    best = max(sum(rates(labels, probabilities, positive, each)) for each in every)
    assert sum(rates(labels, probabilities, positive, chosen)) == pytest.approx(best)


@pytest.mark.parametrize("target", [0.3, 0.6, 0.98, 1])
@pytest.mark.parametrize("positive", [0, 1])
@pytest.mark.parametrize("decimals", [1, 6])
@pytest.mark.parametrize("seed", range(5))
def test_a_wanted_sensitivity_is_reached_and_no_other_threshold_spares_more(
    seed, decimals, positive, target
):
    labels, probabilities = draw(seed, positive, decimals)
    rule = f"sensitivity>={target}"
    chosen = choose_threshold(labels, probabilities, positive=positive, rule=rule)
    sensitivity, specificity = rates(labels, probabilities, positive, chosen)
    assert sensitivity >= target
    for other in np.unique(probabilities[:, positive]):
        found, spared = rates(labels, probabilities, positive, other)
        assert found < target or spared <= specificity
        # A threshold above the next probability up would already find too few.
        assert found < target or other <= min(
            score for score in probabilities[:, positive] if score >= chosen
        )


def test_counting_spares_more_than_youdens_index_and_makes_a_rare_share_less_uncertain():
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], [4000, 1000])
    scores = 1 / (1 + np.exp(-random.normal(np.where(labels, 2, -2), 1.4)))
    probabilities, errors = two_columns(scores), {}
    for rule in ("youden", "counting"):
        chosen = choose_threshold(labels, probabilities, positive=1, rule=rule)
        sensitivity, specificity = rates(labels, probabilities, 1, chosen)
        called = 0.01 * sensitivity + 0.99 * (1 - specificity)
        errors[rule] = np.sqrt(called * (1 - called)) / (sensitivity + specificity - 1)
        assert (specificity > 0.99) == (rule == "counting")
    assert errors["counting"] < 0.7 * errors["youden"]
    assert sensitivity > 0.4


def test_counting_believes_no_few_images_that_there_are_no_false_alarms():
    # From 0.9 on 1 of 10 is found without an alarm among 10; from 0.6 on 9 of 10, one alarm.
    labels = [1] * 10 + [0] * 10
    probabilities = two_columns([0.9, *[0.6] * 8, 0.1, 0.6, *[0.1] * 9])
    assert choose_threshold(labels, probabilities, positive=1, rule="counting") == 0.35


@pytest.mark.parametrize("rule", ["youden", "counting", "sensitivity>=0.98"])
def test_of_separable_labels_the_threshold_is_in_the_middle_of_the_gap(rule):
    labels, probabilities = [0, 0, 1, 1], two_columns([0.125, 0.25, 0.75, 0.875])
    assert choose_threshold(labels, probabilities, positive=1, rule=rule) == 0.5
    labels, probabilities = [0, 0, 1, 1], two_columns([0.875, 0.75, 0.5, 0.25], positive=0)
    assert choose_threshold(labels, probabilities, positive=0, rule=rule) == 0.625
    # Below the lowest probability the neighbour is 0.
    labels, probabilities = [1, 0], two_columns([0.25, 0.5])
    assert choose_threshold(labels, probabilities, positive=1, rule="sensitivity>=1") == 0.125


def test_of_equal_youden_indices_the_one_that_finds_more_is_chosen():
    # From 0.75 on: sensitivity 1/2, specificity 1. From 0.25 on: sensitivity 1, specificity 1/2.
    probabilities = two_columns([0.0, 0.25, 0.5, 0.75])
    assert choose_threshold([0, 1, 0, 1], probabilities, positive=1, rule="youden") == 0.125


@pytest.mark.parametrize("rule", RULES)
def test_images_of_one_probability_are_all_positive(rule):
    labels, probabilities = [0, 1, 1], two_columns([0.5, 0.5, 0.5])
    assert choose_threshold(labels, probabilities, positive=1, rule=rule) == 0.25


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("low", [0.5, 0.3, 1e-7])
def test_between_neighbouring_floats_the_threshold_still_parts_them(kind, low):
    probabilities = two_columns(np.array([low, np.nextafter(kind(low), kind(1))], kind))
    chosen = choose_threshold([0, 1], probabilities, positive=1, rule="youden")
    assert decide(probabilities, positive=1, threshold=chosen).tolist() == [0, 1]


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_needs_images_of_two_labels(rule):
    for labels in ([], [0, 0], [1, 1]):
        probabilities = two_columns([0.25, 0.75][: len(labels)])
        with pytest.raises(UserError, match="expected images of both labels, found one label only"):
            choose_threshold(np.array(labels), probabilities, positive=1, rule=rule)
    with pytest.raises(UserError, match="expected two labels, received 3"):
        choose_threshold([0, 1, 2], np.eye(3), positive=1, rule=rule)


def test_a_number_is_the_threshold_whatever_the_images():
    assert choose_threshold([], np.ones((0, 2)), positive=0, rule=0.3) == 0.3
    assert choose_threshold([0, 1, 2], np.eye(3), positive=0, rule=1) == 1


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        *[(0.4, 0.4), (0, 0.0), (1, 1.0), ("0.25", 0.25)],
        *[("youden", "youden"), (" Youden ", "youden"), ("counting", "counting")],
        *[("sensitivity >= .9", "sensitivity>=.9"), ("sensitivity>=1", "sensitivity>=1")],
        ("sensitivity>=0.00001", "sensitivity>=0.00001"),
    ],
)
def test_a_rule_can_be_a_number_or_a_text(value, rule):
    parsed = parse_rule(value)
    assert parsed == rule
    assert type(parsed) is type(rule)
    assert parse_rule(parsed) == parsed


@pytest.mark.parametrize(
    "value",
    [
        *(1.5, -0.1, float("nan"), float("inf"), True, False, None, [0.5], ""),
        *("best", "youdens", "98 %", "sensitivity", "sensitivity>=", "sensitivity>0.9"),
        *("sensitivity>=0", "sensitivity>=1.01", "sensitivity>=98", "specificity>=0.9", "nan"),
    ],
)
def test_anything_else_is_refused_with_what_is_allowed(value):
    with pytest.raises(ValueError, match="number from 0 to 1, youden, counting, or sensitivity>=S"):
        parse_rule(value)
    with pytest.raises(ValueError, match="expected a number from 0 to 1"):
        choose_threshold([0, 1], two_columns([0.2, 0.8]), positive=1, rule=value)
