"""Tests of malaria/labelling/label_figures.py: what labels say, of the random cells alone."""

from dataclasses import replace

import pytest

from malaria.evaluation.parasitaemia import Accuracy
from malaria.inference.prediction import Prediction
from malaria.labelling.label_figures import _describe_count, describe_labels
from malaria.labelling.label_table import DOUBT

P, U, X = "Parasitized", "Uninfected", "no red cell"


def test_each_random_cell_counts_with_those_it_stands_for_and_no_other_counts(pair, cells, model):
    pairs = pair(P, [P] * 16 + [U] * 3 + [X]) + pair(U, [P] + [U] * 19)
    pairs += pair(P, [U] * 30, why=DOUBT)
    told = describe_labels(pairs, cells, model)
    # Called P: 80 and 20 of 100; called U: 95 and 1,805 of 1,900.
    assert told["lines"][0].startswith("sensitivity (of Parasitized) 45.7% [95 % interval ")
    assert told["lines"][1].startswith("specificity 98.9% [95 % interval ")
    more = "+-0.03 would take more cells than these images have"
    assert told["lines"][2] == f"labelled 70, of them 40 at random; {more}"
    assert told["lines"][3] == (
        "calibration: 14.0% by the mean probability, 8.8% by the labels"  # 175 of 2,000
    )
    assert told["lines"][4] == "threshold 0.500; these cells would choose 0.500 (counting)"
    name, before, after = told["rows"][0]
    assert (name, before.partition(" ")[0]) == ("all", "5.0%")
    assert after.partition(" ")[0] == "8.8%"  # (.05 + .989 - 1) / (.457 + .989 - 1)
    assert [row[0] for row in told["rows"][1:4]] == [
        *("patient patient0", "patient patient1", str(cells[0].path))
    ]
    assert len(told["rows"]) == 1 + 2 + 40


def test_how_many_labels_more_are_needed_is_told():
    """Of a sensitivity of .9 by 100 cells: 1.96^2 x .9 x .1 / .03^2 = 384, smoothed 400."""
    told = _describe_count(Accuracy(0.9, 100, 0.99, 100), labelled=200, random=100, every=5000)
    assert told == "labelled 200, of them 100 at random; about 630 more for +-0.03"


def test_what_the_guard_marks_is_told_apart(pair, cells, model):
    pairs = pair(P, [P] * 20) + pair(U, [U] * 20)
    marked = [
        (row._replace(called="unlike"), replace(cell, label="unlike", unlike="no cell"))
        for row, cell in pair(U, [P] * 3 + [X] * 5)
    ]
    told = describe_labels(pairs + marked, cells, model)
    assert told["lines"][0].startswith("sensitivity (of Parasitized) 100.0% [")
    marked = "of 8 labelled cells that the guard marks as unlike a single cell, 3 are Parasitized"
    assert told["lines"][3].startswith(marked)


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ([P, U, U], "figures from 20 cells on that were drawn at random; so far 3"),
        ([U] * 30, "figures as soon as both kinds are there; so far none are Parasitized"),
        ([P] * 30, "figures as soon as both kinds are there; so far all are Parasitized"),
    ],
)
def test_too_few_labels_give_no_figures(pair, cells, model, labels, told):
    assert describe_labels(pair(U, labels), cells, model) == {"lines": [told], "rows": []}


def test_labels_at_odds_with_the_answers_correct_nothing(pair, cells, model):
    told = describe_labels(pair(P, [U] * 20) + pair(U, [P] * 20), cells, model)
    assert "these are the figures of chance: no share is corrected by them" in told["lines"]
    assert {row[2] for row in told["rows"]} == {"-"}


def test_images_that_are_one_cell_each_come_by_patient_and_what_cannot_be_read_with_its_reason(
    pair, cells, model
):
    single = [replace(cell, box=None) for cell in cells]
    single.append(Prediction(cells[0].path.with_name("broken.png"), error="broken"))
    told = describe_labels(pair(P, [P] * 20) + pair(U, [U] * 20), single, model)
    assert [row[0] for row in told["rows"]][:3] == ["all", "patient patient0", "patient patient1"]
    assert [row[1:] for row in told["rows"] if "broken.png" in row[0]] == [["broken", "broken"]]
