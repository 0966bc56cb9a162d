"""Tests of malaria/evaluation/format.py."""

import json

import numpy as np
import pytest

from malaria.evaluation.format import describe, describe_comparison, title_of, to_json, to_report
from malaria.evaluation.metrics import METRICS, reliability, roc_points
from malaria.evaluation.result import compare_with_first


def lines_of(text):
    return [line.split() for line in text.splitlines()]


def test_the_text_has_the_metrics_the_report_the_matrix_and_the_mistakes(six_cells):
    result = six_cells(groups=list("aabbcc"))
    lines = lines_of(describe(result))
    _, low, high = result.metrics["accuracy"]
    assert ["accuracy", "0.6667", f"[{low:.4f},", f"{high:.4f}]"] in lines
    assert ["Parasitized", "3", "1"] in lines
    assert ["Uninfected", "1", "1"] in lines
    assert ["Parasitized", "0.750", "0.750", "0.750", "4"] in lines
    assert ["Uninfected", "0.500", "0.500", "0.500", "2"] in lines
    assert ["0.9000", "Uninfected,", "truly", "Parasitized:", "cells/3.png"] in lines
    text = describe(result)
    assert text.startswith(
        "6 images: 4 Parasitized, 2 Uninfected; the positive label is Parasitized, "
        "predicted from a probability of 0.5 on\n"
    )
    assert "row = true label, column = predicted label" in text
    for name in METRICS:
        assert f"\n{title_of(name)} " in text


def test_the_text_says_whether_patients_or_images_were_resampled(six_cells):
    text = describe(six_cells(groups=list("aabbcc")))
    assert "50 resamples of 3 patients, seed 0" in text
    assert "too narrow" not in text
    assert "50 resamples of 6 images, seed 0; too narrow if" in describe(six_cells())


def test_undefined_metrics_are_dashes_and_no_mistakes_are_said_to_be_none(six_cells):
    names = ("Parasitized", "b", "c")
    result = six_cells(labels=np.arange(3), probabilities=np.eye(3), label_names=names)
    assert to_json(result)["threshold"] is None
    text = describe(result)
    assert ["sensitivity", "-", "-"] in lines_of(text)
    assert ["AUC", "1.0000", "-"] in lines_of(text)
    assert "the predicted label is the likeliest" in text
    assert "the positive label is" not in text
    assert text.endswith("no mistakes")


def test_strangers_names_cannot_move_the_cursor(six_cells):
    one = six_cells(
        label_names=("a\x1b[2J", "b\r"), positive_label="a\x1b[2J", paths=["c\x1b[2J.png"] * 6
    )
    both = {"m\x1b[2J": one, "n\r": one}
    text = describe_comparison(both, compare_with_first(both), dict.fromkeys(both, 1.0))
    for shown in (describe(one), text):
        assert "\\x1b[2J" in shown
        assert all(letter.isprintable() for letter in shown.replace("\n", ""))


def test_models_stand_side_by_side_and_each_is_compared_with_the_first(six_cells):
    both = {"first": six_cells(), "second": six_cells(threshold=0.95)}
    comparisons = compare_with_first(both)
    text = describe_comparison(both, comparisons, {"first": 12.34, "second": 5})
    table, intervals, difference = text.split("\n\n")
    lines = lines_of(table)
    assert lines[0] == ["metric", "first", "second"]
    assert [line[0] for line in lines[1:3]] == ["accuracy", "sensitivity"]
    assert (lines[2][1], lines[2][4]) == ("0.7500", "0.0000")
    assert lines[-1] == ["images", "per", "second", "12.3", "5.0"]
    assert "50 resamples of 6 images" in intervals
    assert difference.startswith("second minus first")
    assert lines_of(difference)[2][:2] == ["accuracy", "-0.3333"]
    assert "right in second only: 1 images; in first only: 3; McNemar's exact p = 0.62" in text


@pytest.mark.parametrize("count", [4, 6])
def test_the_json_holds_plain_values_and_no_nan(six_cells, count):
    result = six_cells().of(np.arange(count))
    written = to_json(result, unreadable=3)
    assert json.loads(json.dumps(written, allow_nan=False)) == written
    assert (written["images"], written["unreadable"]) == (count, 3)
    assert written["labels"] == ["Parasitized", "Uninfected"]
    assert written["images_by_label"] == {"Parasitized": 4, "Uninfected": count - 4}
    assert (written["positive"], written["threshold"]) == ("Parasitized", 0.5)
    assert written["confusion"]["counts"][0] == [3, 1]
    assert written["intervals"] == result.intervals
    # The name that metrics had before.
    assert written["figures"] == written["metrics"]
    assert tuple(written["metrics"]) == METRICS
    assert set(written["metrics"]["auc"]) == {"value", "low", "high"}
    assert (written["metrics"]["auc"]["value"] is None) == (count == 4)
    assert written["worst_mistakes"] == result.mistakes


def test_the_report_gets_what_its_page_shows(six_cells):
    result = six_cells(probabilities=six_cells().probabilities.astype(np.float32))
    json.dumps(to_json(result), allow_nan=False)
    report = to_report(result)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert [row["name"] for row in report["metrics"]] == [title_of(name) for name in METRICS]
    assert report["metrics"][5] == {"name": "AUC", **result.metrics["auc"]._asdict()}
    assert report["confusion"] == [[3, 1], [1, 1]]
    answers = result.labels, result.probabilities, result.positive
    assert report["roc"] == roc_points(*answers)
    assert report["reliability"] == reliability(*answers)
    assert "macro avg" in report["report"]
