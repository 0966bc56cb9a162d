"""Tests of malaria/labelling/label_figures.py: what labels say, of the random cells alone."""

import re
from dataclasses import replace

import pytest

from malaria.inference.prediction import Prediction
from malaria.labelling.label_figures import describe_labels, strata_of
from malaria.labelling.label_table import DOUBT, RANDOM, SKIPPED, LabelRow

P, U, X = "Parasitized", "Uninfected", "no red cell"
RARE = [0.9] + [0.1] * 19  # of 2,000 cells 100 are called parasitized


@pytest.fixture
def cells(make_cells):
    return make_cells(fields=40, each=50, positive=RARE)


@pytest.fixture
def pair(cells):
    """A function: (row, cell) for the labels of so many cells that are called so."""

    def give(called, labels, why=RANDOM, stands_for=None):
        same = [cell for cell in cells if cell.label == called]
        stands_for = stands_for or len(same) / len(labels)
        return [
            (
                LabelRow(cell.path, cell.box, label, cell.group, "Ana", "now", why, called,
                         cell.probabilities[0], stands_for if why == RANDOM else None),
                cell,
            )
            for cell, label in zip(same, labels, strict=False)
        ]  # fmt: skip

    return give


def test_each_random_cell_counts_with_those_it_stands_for_and_no_other_counts(pair, cells, model):
    pairs = pair(P, [P] * 16 + [U] * 3 + [X]) + pair(U, [P] + [U] * 19)
    pairs += pair(P, [U] * 30, why=DOUBT)
    told = describe_labels(pairs, cells, model)
    # Called P: 80 and 20 of 100; called U: 95 and 1,805 of 1,900.
    assert told["lines"][0].startswith("sensitivity (of Parasitized) 45.7% [95 % interval ")
    assert told["lines"][1].startswith("specificity 98.9% [95 % interval ")
    assert re.fullmatch(
        r"labelled 70, of them 40 at random; about [\d,]+0 more for \+-0\.03", told["lines"][2]
    )
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


def test_a_stratum_keeps_the_cells_of_those_that_were_skipped(pair, model):
    pairs = pair(P, [P] * 10) + pair(U, [U] * 10 + [SKIPPED] * 10)
    (called, others) = strata_of(pairs, model)
    assert (called.cells, others.cells) == (pytest.approx(100), pytest.approx(1900))
    assert called.confusion.tolist() == [[10, 0], [0, 0]]
    assert others.confusion.tolist() == [[0, 0], [0, 10]]


def test_cells_that_another_model_chose_are_judged_by_what_this_one_calls_them(pair, model):
    pairs = [
        (row, replace(cell, label=U, probabilities=(0.1, 0.9)))
        for row, cell in pair(P, [P] * 12 + [U] * 8)
    ]
    (stratum,) = strata_of(pairs, model)
    assert stratum.confusion.tolist() == [[0, 12], [0, 8]]


def test_what_the_guard_marks_is_told_apart(pair, cells, model):
    pairs = pair(P, [P] * 20) + pair(U, [U] * 20)
    marked = [
        (row._replace(called="unlike"), replace(cell, label="unlike", unlike="no cell"))
        for row, cell in pair(U, [P] * 3 + [X] * 5)
    ]
    told = describe_labels(pairs + marked, cells, model)
    assert told["lines"][0].startswith("sensitivity (of Parasitized) 100.0% [")
    assert (
        "of 8 labelled cells that the guard marks as unlike a single cell, 3 are Parasi"
        in (told["lines"][5])
    )


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
