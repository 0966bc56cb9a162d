"""Tests of malaria/evaluation/known_accuracy.py: what is written is read where it holds."""

from dataclasses import replace

import numpy as np
import pytest

from malaria.evaluation.known_accuracy import (
    counting_of,
    counting_threshold,
    known_accuracy,
    settings_of,
    to_record,
)
from malaria.pictures.images import PixelFormat
from malaria.saved.metadata import Metadata

LABELS = ("Parasitized", "Uninfected")
PLAIN = Metadata(LABELS, "Parasitized", PixelFormat((8, 8)))
CONFUSION = {"confusion": [[90, 10], [6, 194]]}


def with_record(record, kind="validation", **more):
    return replace(PLAIN, details=PLAIN.to_entries() | {kind: record} | more)


def test_the_record_of_labelled_cells_is_read_again():
    labels = np.array([0] * 10 + [1] * 20)
    of_positive = np.array([0.95] * 8 + [0.3] * 2 + [0.02] * 18 + [0.6] * 2)
    probabilities = np.stack([of_positive, 1 - of_positive], axis=1)
    predicted = (of_positive < 0.5).astype(int)
    # All false alarms are of one patient of two.
    members = np.array([0, 1] * 5 + [0] * 10 + [1] * 10)
    known = {"positive": 0, "members": members, "unlike": 0.1}
    record = to_record(labels, probabilities, predicted, **known) | settings_of(PLAIN)
    assert record["strange"] == pytest.approx(0.1 + 4 / 30)
    sensitivity, positives, specificity, negatives = known_accuracy(with_record(record))
    assert (sensitivity, positives) == (0.8, 10)
    # Two of 20, both of one patient: the variance is 2.2 times that of independent cells.
    assert (specificity, negatives) == (0.9, pytest.approx(20 / (4 / 1.8)))


def test_earlier_versions_have_the_numbers_in_their_matrix():
    assert known_accuracy(with_record(CONFUSION)) == pytest.approx((0.9, 100, 0.97, 200))


def test_a_calibration_stands_before_the_validation_and_one_without_numbers_leaves_none():
    of_own = {"confusion": [[50, 0], [1, 99]]}
    known = with_record(CONFUSION, calibration=of_own)
    assert known_accuracy(known) == pytest.approx((1, 50, 0.99, 100))
    assert "--calibrate measures" in known_accuracy(with_record(CONFUSION, calibration={}))
    assert "does not say its sensitivity" in known_accuracy(PLAIN)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"threshold": 0.7}, "threshold"),
        ({"tta": True}, "tta"),
        ({"positive_label": "Uninfected"}, "positive label"),
        ({"labels": LABELS[::-1], "threshold": 0.1}, "labels and threshold"),
    ],
)
@pytest.mark.parametrize("record", [CONFUSION, CONFUSION | settings_of(PLAIN)])
def test_measured_otherwise_it_does_not_hold(record, change, name):
    assert known_accuracy(replace(with_record(record), **change)).endswith(f"another {name}")


def test_a_model_that_was_saved_with_another_threshold_keeps_the_record_of_the_first():
    record = CONFUSION | settings_of(PLAIN)
    saved = with_record(record, threshold=0.7)
    assert "another threshold" in known_accuracy(replace(saved, threshold=0.7))
    assert known_accuracy(saved).positives == 100


def test_of_three_labels_the_positive_one_is_set_against_the_rest():
    three = Metadata(("a", "b", "c"), "b", PixelFormat((8, 8)))
    record = {"confusion": [[8, 2, 0], [1, 9, 0], [0, 0, 10]]}
    known = replace(three, details=three.to_entries() | {"validation": record})
    assert known_accuracy(known) == pytest.approx((0.9, 10, 0.9, 20))


@pytest.mark.parametrize(
    "record",
    [
        *(
            {"confusion": x}
            for x in (None, 7, "x", [], [[1, 2]], [[1, 2], [3]], [["a", 1], [1, 1]])
        ),
        *({"confusion": [[x, 1], [1, 1]]} for x in (-1, None, 10**400, 1e308, {}, [1])),
        *({"confusion": x} for x in ([[0, 0], [1, 9]], [[9, 1], [0, 0]])),
        *(CONFUSION | {"design_effects": x} for x in (7, None, {"sensitivity": "x"})),
        *(CONFUSION | {"design_effects": {"specificity": x}} for x in (0, -1, float("nan"), 1e300)),
        *([], None, "x", 7),
    ],
)
def test_a_damaged_record_is_none(record):
    assert "does not say its sensitivity" in known_accuracy(with_record(record))


@pytest.mark.parametrize("measured", [None, [], "x", 7])
def test_a_record_that_was_measured_nobody_knows_how_does_not_hold(measured):
    said = known_accuracy(with_record(CONFUSION | {"measured_at": measured}))
    assert "measured with another labels and positive label and threshold and tta" in said


def test_answers_of_chance_correct_nothing():
    for confusion in ([[50, 50], [50, 50]], [[0, 1], [0, 9000]], [[1, 0], [9000, 10]]):
        said = known_accuracy(with_record({"confusion": confusion}))
        assert said == "its sensitivity and specificity are those of chance"


def test_the_record_for_counting_spares_more_and_holds_at_its_own_threshold_alone():
    labels = np.array([0] * 100 + [1] * 1000)
    of_positive = np.concatenate([np.linspace(0.3, 1, 100), np.linspace(0, 0.6, 1000)])
    probabilities = np.stack([of_positive, 1 - of_positive], axis=1)
    known = {"positive": 0, "members": np.arange(1100)}
    counting = counting_of(labels, probabilities, **known)
    model = with_record(CONFUSION | settings_of(PLAIN) | counting)
    threshold = counting_threshold(model)
    assert 0.55 < threshold < 0.65
    assert known_accuracy(model) == pytest.approx((0.9, 100, 0.97, 200))
    at_it = known_accuracy(replace(model, threshold=threshold))
    assert at_it.specificity > 0.99
    assert at_it.sensitivity == pytest.approx((of_positive[:100] >= threshold).mean())
    assert "another tta" in known_accuracy(replace(model, threshold=threshold, tta=True))
    assert counting_of(labels, np.ones((1100, 3)) / 3, **known) == {}


@pytest.mark.parametrize("damaged", [3, {}, {"threshold": "a"}, {"threshold": float("nan")}])
def test_a_damaged_record_for_counting_is_none(damaged):
    assert counting_threshold(with_record(CONFUSION | {"counting": damaged})) is None
