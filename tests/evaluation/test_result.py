"""Tests of malaria/evaluation/result.py."""

import json

import numpy as np
import pytest

from malaria.base.errors import UserError
from malaria.data.dataset import LABELS
from malaria.evaluation.bootstrap import Estimate, compare, estimate
from malaria.evaluation.format import describe, to_json
from malaria.evaluation.metrics import METRICS, score
from malaria.evaluation.result import MISTAKES, compare_with_first


def test_a_result_counts_its_images_by_true_and_by_predicted_label(six_cells):
    result = six_cells()
    assert result.positive == 0
    assert result.predicted.tolist() == [0, 0, 0, 1, 1, 0]
    assert result.confusion == [[3, 1], [1, 1]]
    assert list(result.counts.items()) == [("Parasitized", 4), ("Uninfected", 2)]
    # A label without images is counted too.
    known = {"label_names": ("a", "b", "c"), "positive_label": "a"}
    probabilities = np.eye(3)[[0, 2, 2, 1, 0, 0]]
    result = six_cells(labels=np.array([0, 2, 2, 0, 0, 2]), probabilities=probabilities, **known)
    assert result.counts == {"a": 3, "b": 0, "c": 3}
    assert result.confusion == [[2, 1, 0], [0, 0, 0], [1, 0, 2]]


@pytest.mark.parametrize("groups", [list("aabbcc"), None])
def test_the_metrics_of_a_result_are_the_estimates_of_its_answers(six_cells, groups):
    result = six_cells(groups=groups, positive_label="Uninfected", threshold=0.6, seed=4)
    scored = score(result.labels, result.probabilities, positive=1, threshold=0.6)
    expected = estimate(scored, groups=groups, resamples=50, seed=4)
    assert result.metrics == expected
    assert result.values == {name: one.value for name, one in expected.items()}
    assert tuple(result.values) == METRICS


def test_the_values_need_no_resamples(six_cells, monkeypatch):
    monkeypatch.setattr("malaria.evaluation.result.estimate", None)
    assert six_cells().values["accuracy"] == 4 / 6


def test_what_a_result_tells_are_plain_values_that_json_can_hold(six_cells):
    result = six_cells()
    assert {type(number) for number in result.values.values()} == {float}
    assert {type(one) for one in result.metrics.values()} == {Estimate}
    assert {type(count) for row in result.confusion for count in row} == {int}
    assert {type(count) for count in result.counts.values()} == {int}
    told = [result.values, result.metrics, result.confusion, result.counts, result.mistakes]
    json.dumps([*told, result.intervals], allow_nan=False)


def test_a_part_of_a_result_is_the_result_of_those_images(six_cells):
    result = six_cells(groups=list("aabbcc"), threshold=0.3, seed=2)
    part = result.of(np.array([5, 0]))
    assert part.paths == ["cells/5.png", "cells/0.png"]
    assert part.labels.tolist() == [1, 0]
    assert part.probabilities.tolist() == [[0.7, 0.3], [0.9, 0.1]]
    assert part.groups == ["c", "a"]
    assert (part.threshold, part.seed, part.label_names) == (0.3, 2, result.label_names)
    assert six_cells().of(np.array([5, 0])).groups is None


def test_a_result_says_whether_patients_or_images_are_resampled(six_cells):
    known = {
        "method": "percentile bootstrap",
        "of_0_and_1": "Wilson's score interval",
        "level": 0.95,
        "resamples": 50,
        "seed": 7,
    }
    images, patients = ({"resampled": "images", "count": 6}, {"resampled": "patients", "count": 3})
    for groups, told in ((None, images), ([*"aabbc", None], images), ([*"aabbcc"], patients)):
        assert six_cells(groups=groups, seed=7).intervals == known | told


def test_the_report_is_printable_and_names_an_absent_label_too(six_cells):
    known = {"label_names": ("a\x1b[2J", "b\r"), "positive_label": "b\r", "threshold": 1.0}
    report = six_cells(labels=np.zeros(6, int), **known).classification_report
    assert r"a\x1b[2J" in report
    lines = report.split("\n")
    assert [r"b\r", "0.000", "0.000", "0.000", "0"] in [line.split() for line in lines]
    assert all(line.isprintable() for line in lines)


def test_a_result_of_no_images_has_no_metrics(six_cells):
    for name in ("metrics", "values"):
        with pytest.raises(UserError, match="nothing to evaluate: no image could be read"):
            getattr(six_cells().of(np.array([], int)), name)


def test_the_worst_mistakes_come_surest_first(six_cells):
    keys = ("path", "true", "predicted", "probability")
    answers = ("cells/3.png", *LABELS, 0.9), ("cells/5.png", *LABELS[::-1], 0.7)
    assert six_cells().mistakes == [dict(zip(keys, one, strict=True)) for one in answers]
    assert six_cells(labels=np.array([0, 0, 0, 1, 1, 0])).mistakes == []
    second, paths = np.linspace(0.6, 0.9, 30), [f"{number}.png" for number in range(30)]
    probabilities = np.stack([1 - second, second], axis=1)
    many = six_cells(paths=paths, labels=np.zeros(30, int), probabilities=probabilities)
    assert [mistake["path"] for mistake in many.mistakes] == paths[: -1 - MISTAKES : -1]


def test_each_model_is_compared_with_the_first_on_the_same_resamples(six_cells):
    first = six_cells(groups=list("aabbcc"), seed=1)
    second, third = six_cells(threshold=0.95, seed=2), six_cells(threshold=0.3)
    comparisons = compare_with_first({"first": first, "second": second, "third": third})
    assert list(comparisons) == ["second", "third"]
    for name, other in (("second", second), ("third", third)):
        known = {"groups": list("aabbcc"), "resamples": 50, "seed": 1}
        assert comparisons[name] == compare(other.scored, first.scored, **known)
    # Minus the first, which has three right that the second, calling nothing positive, has not.
    assert (comparisons["second"].only_one, comparisons["second"].only_other) == (1, 3)
    assert comparisons["second"].differences["sensitivity"].value == -3 / 4


@pytest.mark.parametrize(
    "changes",
    [{"label_names": LABELS[::-1]}, {"positive_label": LABELS[1]}, {"paths": list("abcdef")}],
)
def test_models_of_other_images_or_labels_are_not_compared(six_cells, changes):
    with pytest.raises(UserError, match="second cannot be compared with first: expected the same"):
        compare_with_first({"first": six_cells(), "second": six_cells(**changes)})


def test_of_three_labels_each_is_told_against_the_rest(six_cells):
    first, second = [0.8, 0.3, 0.1, 0.2, 0.1, 0.4], [0.1, 0.6, 0.8, 0.7, 0.1, 0.1]
    third = [0.1, 0.1, 0.1, 0.1, 0.8, 0.5]
    known = {"label_names": ("a", "b", "c"), "positive_label": "c"}
    probabilities = np.stack([first, second, third], axis=1)
    result = six_cells(labels=np.repeat(range(3), 2), probabilities=probabilities, **known)
    assert result.by_label["a"] == {"sensitivity": 0.5, "specificity": 1.0, "auc": 7 / 8}
    assert result.by_label["b"] == {"sensitivity": 1.0, "specificity": 0.75, "auc": 1.0}
    assert result.by_label["c"]["sensitivity"] == 1.0
    assert "each label against the rest" in describe(result)
    assert to_json(result)["by_label"] == result.by_label
