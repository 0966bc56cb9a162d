"""Tests of malaria/fields/headline.py: what is told of a parasitaemia, and what is not claimed."""

import pytest

from malaria.evaluation.parasitaemia import Accuracy
from malaria.fields.headline import describe_row, explain, headline, percent

KNOWN = Accuracy(0.9, 100, 0.97, 200)
ROW = {
    **{"warning": None, "red cells": 1000, "positive": 60, "parasitaemia": 0.06},
    **{"corrected": 0.034, "low": 0.01, "high": 0.08, "design effect": 2.34},
    **{"cells to halve": 5000, "not decided": 0, "unlike": 0, "doubted": 0, "error": None},
}
NOTHING = ROW | dict.fromkeys(("parasitaemia", "corrected", "low", "high", "design effect"))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, "3.4% X, corrected [95 % interval 1.0%, 8.0%]"),
        ({"corrected": None}, "6.0% X, called [95 % interval 1.0%, 8.0%]"),
        ({"low": 0}, "not told apart from none: 3.4% X, corrected [95 % interval 0.0%, 8.0%]"),
        ({"doubted": 7}, "3.4% X, corrected [95 % interval 1.0%, 8.0%]; 7 more are doubted"),
        ({"positive": 0, "low": 0, "high": 0.0032}, "none seen in 1,000 cells: at most 0.32% X"),
        (NOTHING, "no red cells"),
        (NOTHING | {"doubted": 2}, "no red cells; 2 more are doubted"),
    ],
)
def test_the_headline_is_never_a_bare_share(change, told):
    assert headline(ROW | change, "X") == told


def lines_of(accuracy=KNOWN, fields=5, **change):
    return list(explain(ROW | change, fields, "X", accuracy))


def test_false_alarms_that_may_explain_all_are_told_with_what_there_is_without_them():
    [line] = [line for line in lines_of(low=0) if "false alarms alone" in line]
    assert "(3.0%) may explain" in line
    assert "if it gives none here, 6.7% are: look at these cells" in line
    assert not any("false alarms alone" in line for line in lines_of())


def test_the_likeness_of_cells_is_claimed_only_where_it_could_be_seen():
    assert any("(design effect 2.3)" in line for line in lines_of())
    for untold in ({"fields": 1}, {"positive": 0}, {"positive": 1000}):
        lines = lines_of(**untold)
        assert any("how much cannot be told here" in line for line in lines)
        assert not any("design effect" in line for line in lines)


def test_what_would_narrow_the_interval_is_told_cells_or_labels():
    assert any("5,000 cells more, of more fields, would halve" in line for line in lines_of())
    lines = lines_of(**{"cells to halve": None})
    assert any(line.startswith("no number of cells more would halve") for line in lines)


def test_without_cells_there_is_nothing_to_explain():
    assert list(explain(NOTHING, 1, "X", KNOWN)) == []
    assert describe_row(NOTHING) == "-"
    assert describe_row(NOTHING | {"error": "damaged \x1b[2J"}) == "damaged \\x1b[2J"


def test_rare_shares_have_two_digits():
    texts = [percent(share) for share in (0, 0.00123, 0.0999, 1, None)]
    assert texts == ["0.0%", "0.12%", "10.0%", "100.0%", "-"]


def worth_of(**change):
    return [line for line in lines_of(**change) if line.startswith("by the model's record")]


def test_what_a_call_is_worth_is_told_at_the_share_and_where_few_are_positive():
    rare = "about 21 truly are if 1.0% of all are"
    end = ": the fewer there are, the more of those called are false alarms"
    start = "by the model's record, of 100 cells called X about"
    assert worth_of() == [f"{start} 48 truly are if 3.4% of all are and {rare}{end}"]
    assert worth_of(corrected=0.01) == worth_of(corrected=0) == [f"{start[:-6]} {rare}{end}"]
    assert worth_of(corrected=0.002) == [f"{start} 5 truly are if 0.20% of all are{end}"]
    assert worth_of(positive=0) == []
    assert worth_of(accuracy="not known") == []
