"""Tests of malaria/fields/field_counts.py and strangeness.py: rows of counts, and when to warn."""

from dataclasses import replace
from pathlib import Path

import pytest

from malaria.base.proportions import wilson
from malaria.evaluation.parasitaemia import Accuracy, interval
from malaria.fields.field_counts import FieldCounts, by_group, tally
from malaria.fields.strangeness import strangeness
from malaria.inference.classifier import Classifier
from malaria.inference.prediction import REVIEW, UNLIKE, Prediction
from malaria.pictures.images import PixelFormat
from malaria.saved.metadata import Metadata

LABELS = ("Parasitized", "Uninfected")
METADATA = Metadata(LABELS, "Parasitized", PixelFormat((8, 8)))
MODEL = Classifier(METADATA, network=None)
KNOWN = Accuracy(0.9, 100, 0.97, 200)


def counts(*cells, model=MODEL, group=None):
    """Of (label, probability of the positive label, how many of them)."""
    made = FieldCounts()
    for label, probability, number in cells:
        both = probability, 1 - probability
        unlike = "no cell" if label == UNLIKE else None
        one = Prediction(Path("a.png"), label, probability, both, group=group, unlike=unlike)
        for _ in range(number):
            made.add(one, model)
    return made


def test_the_parasitaemia_is_the_share_of_what_was_decided_to_be_red_cells():
    one = counts(("Parasitized", 0.95, 1), ("Uninfected", 0.05, 3), (REVIEW, 0.05, 2))
    one.labels[UNLIKE] = 4
    row = tally([one], METADATA)
    assert (row["red cells"], row["positive"], row["parasitaemia"]) == (4, 1, 0.25)
    assert (row["low"], row["high"]) == wilson(1, 4)
    assert (row["not decided"], row["unlike"]) == (2, 4)
    assert row["corrected"] is row["error"] is None


def test_a_row_is_corrected_with_the_interval_of_as_many_cells_as_its_fields_tell():
    fields = [counts(("Parasitized", 0.95, n), ("Uninfected", 0.05, 100 - n)) for n in (30, 10)]
    row = tally(fields, METADATA, accuracy=KNOWN)
    assert row["corrected"] == pytest.approx((0.2 - 0.03) / 0.87)
    assert row["design effect"] == pytest.approx(400 / 32)
    assert (row["low"], row["high"]) == interval(40, 200, KNOWN, 400 / 32)
    assert tally(fields[:1], METADATA, accuracy=KNOWN)["design effect"] == 1


def test_where_nothing_was_found_there_is_no_parasitaemia():
    one = FieldCounts()
    one.add(Prediction(Path("a.png"), error="no red cells"), MODEL)
    row = tally([one], METADATA, accuracy=KNOWN, red_cells=4e6)
    assert (row["red cells"], row["error"]) == (0, "no red cells")
    nothing = "parasitaemia", "corrected", "low", "high", "per microlitre", "warning"
    assert {row[name] for name in nothing} == {None}
    assert tally([], METADATA)["red cells"] == 0


def test_by_leukocytes_parasites_per_microlitre_hold_how_few_of_these_were_found():
    one = counts(("Parasitized", 0.95, 30), ("Uninfected", 0.05, 960), (REVIEW, 0.5, 6))
    one.labels["at the border"] = 4
    assert tally([one], METADATA, white_cells=8000)["per microlitre"] is None
    one.labels["leukocyte"] = 25
    row = tally([one], METADATA, white_cells=8000)
    # 1,000 red cells beside 25 leukocytes are 320,000 per microlitre; 16.9 to 36.9 may be expected.
    assert row["per microlitre"] == round(30 / 990 * 320_000)
    assert row["per microlitre, low"] == pytest.approx(row["low"] * 8e6 / 36.9, rel=0.005)
    assert row["per microlitre, high"] == pytest.approx(row["high"] * 8e6 / 16.93, rel=0.005)


def test_fields_of_a_patient_are_found_together_and_those_of_nobody_are_not():
    fields = {"b": counts(("Uninfected", 0.05, 1), group="10"), "c": FieldCounts()}
    fields |= {"a": counts(("Uninfected", 0.05, 1), group="2"), "d": fields["b"]}
    assert [(name, len(found)) for name, found in by_group(fields)] == [("2", 1), ("10", 2)]


def test_what_the_guard_doubts_is_doubted_only_from_the_threshold_on():
    cells = (UNLIKE, 0.6, 2), (UNLIKE, 0.4, 1), ("Parasitized", 0.6, 5)
    assert counts(*cells).doubted == 2
    assert counts(*cells, model=MODEL.with_threshold(0.7)).doubted == 0
    assert counts(*cells, model=MODEL.with_threshold(0.3)).doubted == 3


def test_cells_in_doubt_and_cells_unlike_one_are_strange_each_counted_once():
    cells = ("Parasitized", 0.8, 20), ("Uninfected", 0.2, 20), (UNLIKE, 0.5, 40)
    row = tally([counts(*cells, ("Uninfected", 0.05, 20))], METADATA)
    assert "(80% of the cells are doubtful" in row["warning"]


def test_a_laboratory_is_strange_where_more_than_a_quarter_is_and_enough_cells_say_so():
    assert strangeness(1000, 200, 0, METADATA) is None
    assert strangeness(1000, 350, 0, METADATA).startswith("measured elsewhere: this figure may be ")
    assert strangeness(10, 4, 0, METADATA) is None
    assert strangeness(0, 0, 0, METADATA) is None


def test_more_than_a_tenth_of_the_cells_called_positive_is_strange():
    assert strangeness(1000, 0, 115, METADATA) is None  # .097 to .136
    assert "(13% of the cells are called Parasitized" in strangeness(1000, 0, 130, METADATA)


def test_a_model_that_is_often_in_doubt_by_its_own_record_warns_later():
    details = METADATA.to_entries() | {"calibration": {"strange": 0.4}}
    known = replace(METADATA, details=details)
    assert strangeness(1000, 500, 0, known) is None
    assert "up to 55% is usual" in strangeness(1000, 650, 0, known)
    damaged = replace(METADATA, details=details | {"calibration": {"strange": "x"}})
    assert strangeness(1000, 500, 0, damaged) is not None
