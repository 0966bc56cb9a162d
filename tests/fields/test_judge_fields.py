"""Judging what was found in fields: which cells, which labels, which parasitaemia."""

import re
from pathlib import Path

import pytest

from malaria.annotations.annotation_records import Annotated
from malaria.fields.agreement import Agreement
from malaria.fields.agreement_text import describe_agreement
from malaria.fields.judge_fields import judge_field
from malaria.inference.prediction import Prediction
from malaria.pictures.box import Box

LABELS = ("Parasitized", "Uninfected")
SIZE = (400, 100)


def known(place, kind="uninfected", top=30):
    return Annotated(Box(40 * place + 10, top, 30, 30), kind, kind)


def found(place, label="Uninfected", path="a.png", group=None, top=30):
    return Prediction(Path(path), label, 0.9, box=Box(40 * place + 12, top, 30, 30), group=group)


def judge(predictions, annotated, *, is_complete=True):
    return judge_field(predictions, annotated, size=SIZE, is_complete=is_complete)


def counts(agreement):
    return agreement.found, agreement.precise, agreement.others


def test_cells_are_found_missed_or_wrong():
    annotated = [known(0), known(1, "parasitized"), known(2), known(3, "unknown")]
    one = judge([found(0), found(1, "Parasitized"), found(3), found(7)], annotated)
    assert [cell.box for cell in one.missed] == [known(2).box]
    assert [wrong.box for wrong in one.wrong] == [found(7).box]
    assert {cell.kind: prediction.label for cell, prediction in one.pairs} == {
        **{"uninfected": "Uninfected", "parasitized": "Parasitized", "unknown": "Uninfected"}
    }
    agreement = Agreement([one], LABELS, LABELS[0])
    assert counts(agreement) == ((3, 4), (3, 4), (0, 0))


def test_border_cells_difficult_ones_and_other_things_are_neither_right_nor_wrong():
    annotated = [known(0), known(1, top=1), known(2, "difficult"), known(3, "other")]
    one = judge([found(0), found(1, top=3), found(2), found(3), found(5, top=0)], annotated)
    assert (len(one.pairs), one.missed, one.wrong) == (1, [], [])
    # What is found of a white cell is told, unless the guard has marked it.
    assert (one.others, one.others_taken) == (1, 1)
    two = judge([found(0), found(3, "unlike")], annotated)
    assert (two.others, two.others_taken) == (1, 0)
    assert counts(Agreement([one, two], LABELS, LABELS[0])) == ((2, 2), (2, 2), (1, 2))


def test_what_is_difficult_counts_in_no_parasitaemia():
    annotated = [known(0), known(1, "difficult"), known(2, "parasitized", top=0)]
    one = judge([found(0), found(1, "Parasitized"), found(2, "Parasitized", top=0)], annotated)
    assert one.told == {"Uninfected": 1, "Parasitized": 1}
    assert one.true == {"uninfected": 1, "parasitized": 1}


def test_without_complete_annotations_there_is_no_precision_and_no_share():
    one = judge([found(0), found(5)], [known(0)], is_complete=False)
    agreement = Agreement([one], LABELS, LABELS[0])
    assert one.wrong is None
    assert counts(agreement) == ((1, 1), (0, 0), (0, 0))
    assert agreement.pairs() == {"fields": {}, "patients": {}}
    assert agreement.to_entries()["precision"]["value"] is None


def test_a_field_in_which_nothing_was_found_misses_all_its_cells():
    one = judge([Prediction(Path("a.png"), error="no red cells")], [known(0), known(1)])
    assert (len(one.missed), one.pairs, one.wrong) == (2, [], [])


@pytest.fixture
def agreement():
    """Three fields of two patients, with false alarms and parasites that were not called so."""
    sick = [known(0, "parasitized"), known(1, "parasitized"), *map(known, range(2, 6))]
    cells = [
        found(0, "Parasitized"),
        found(1, "unlike"),
        found(2, "Parasitized"),
        *map(found, (3, 4)),
    ]
    second = [found(n, path="b.png", group="2") for n in range(4)]
    first = [Prediction(Path("a.png"), one.label, 0.9, box=one.box, group="1") for one in cells]
    more = [found(0, "Parasitized", "c.png", "2"), found(1, "review", "c.png", "2")]
    judged = [
        judge(first, sick),
        judge(second, [*map(known, range(4))]),
        judge(more, [known(0, "parasitized"), known(1)]),
    ]
    return Agreement(judged, LABELS, LABELS[0])


def test_labels_are_counted_by_what_the_annotators_say(agreement):
    assert agreement.by_kind() == {
        "parasitized": {
            **{"annotated": 3, "found": 3, "called_positive": 2, "called_otherwise": 0},
            **{"unlike": 1, "review": 0},
        },
        "uninfected": {
            **{"annotated": 9, "found": 8, "called_positive": 1, "called_otherwise": 6},
            **{"unlike": 0, "review": 1},
        },
    }
    assert agreement.rate("parasitized", positive=True) == (2, 2)
    assert agreement.rate("uninfected", positive=False) == (6, 7)


def test_the_parasitaemia_is_compared_by_field_and_by_patient(agreement):
    pairs = agreement.pairs()
    assert pairs["fields"] == {
        "a.png": pytest.approx((2 / 4, 2 / 6)),
        "b.png": (0, 0),
        "c.png": (1, 0.5),
    }
    assert pairs["patients"] == {"1": pytest.approx((0.5, 1 / 3)), "2": pytest.approx((0.2, 1 / 6))}
    told = agreement.to_entries()["parasitaemia"]["fields"]
    assert (told["count"], told["told"]) == (3, 0.5)
    assert told["mean_error"] == pytest.approx((1 / 6 + 0 + 0.5) / 3)


def test_the_text_tells_what_was_found_and_how_the_shares_differ(agreement):
    said = describe_agreement(agreement)
    assert "[95 % interval]: 11 of 12, 91.7% [" in said
    assert "precision in 3 fields with every cell annotated: 11 of 11, 100.0% [" in said
    assert re.search(r"\nparasitized +3 +3 +2 +0 +1 +0\n", said)
    assert "sensitivity 100.0% [34.2%, 100.0%], specificity 85.7% [" in said
    assert "\n3 fields      50.00%     27.78%      22.22%  +22.22%" in said
    assert "\n2 patients    35.00%     25.00%" in said
