"""Tests of malaria/labelling/label_session.py: no press is lost, and none undoes another's."""

import re
from dataclasses import replace

import pytest

from malaria.base.errors import UserError
from malaria.labelling.label_session import Change, LabelSession
from malaria.labelling.label_table import RANDOM, SKIPPED, read_labels, write_labels

P, U = "Parasitized", "Uninfected"


def test_each_press_is_in_the_table_with_all_that_is_known_of_the_cell(session):
    assert session.apply([Change(3, None, P), Change(4, None, SKIPPED)]) == []
    first, second = read_labels(session.table).values()
    chosen = session.chosen[3]
    assert first.box == chosen.cell.box
    assert (first.label, first.who, first.patient) == (P, "Ana", chosen.cell.group)
    assert (first.why, first.stands_for) == (chosen.why, chosen.stands_for)
    assert (first.called, first.probability) == (chosen.cell.label, chosen.cell.probabilities[0])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", first.when)
    assert second.label == SKIPPED
    assert session.apply([Change(3, P, None)]) == []
    assert [one.label for one in read_labels(session.table).values()] == [SKIPPED]


def test_a_press_that_did_not_know_another_ones_changes_nothing(session):
    session.apply([Change(0, None, P)])
    assert session.apply([Change(0, None, U), Change(1, None, U)]) == [0]
    assert session.since(0) == {"version": 2, "labels": {0: P, 1: U}}
    assert session.since(1)["labels"] == {1: U}
    assert session.apply([Change(0, P, U)]) == []
    assert session.since(2)["labels"] == {0: U}


def test_coming_back_goes_on_with_the_same_cells_and_more_may_be_asked_for(
    session, make_cells, model
):
    session.apply([Change(number, None, P) for number in range(10)])
    known = {"who": "Ben", "count": 40}
    again = LabelSession(make_cells(), model, session.table, **known)
    assert [one.cell for one in again.chosen] == [one.cell for one in session.chosen]
    assert again.since(0)["labels"] == dict.fromkeys(range(10), P)
    assert again.notes == [f"{session.table} has 10 labels already: going on"]

    more = LabelSession(make_cells(), model, session.table, **known | {"count": 80, "seed": 9})
    assert len(more.since(0)["labels"]) == 10
    random = [one for one in more.our_rows() if one.why == RANDOM]
    # A stratum's cells are still all that its drawn ones stand for.
    for label in (P, U):
        drawn = [one for one in more.chosen if one.why == RANDOM and one.cell.label == label]
        assert sum(one.stands_for for one in drawn) == pytest.approx(
            sum(one.label == label for one in more.cells.values())
        )
        assert {one.stands_for for one in random if one.called == label} <= {drawn[0].stands_for}


def test_rows_of_other_cells_stay_in_the_table_and_are_told(session, make_cells, model, tmp_path):
    session.apply([Change(0, None, P), Change(1, None, P)])
    others = make_cells(folder=tmp_path / "others")
    other = LabelSession(others, model, session.table, who="Ben", count=10)
    assert other.since(0)["labels"] == {}
    (note,) = other.notes
    assert "2 labels, and 2 of cells that are not among these" in note
    other.apply([Change(0, None, U)])
    assert [one.label for one in read_labels(session.table).values()] == [P, P, U]


def test_a_row_that_another_model_chose_keeps_what_it_was_drawn_for(session, make_cells, model):
    session.apply([Change(number, None, P) for number in range(40)])
    cells = [replace(cell, probabilities=(0.3, 0.7), label=U) for cell in make_cells()]
    other = LabelSession(cells, model, session.table, who="Ana", count=2)
    before = {row.key: row for row in read_labels(session.table).values()}
    shown = {other._keys[number] for number in other.since(0)["labels"]}
    for row in other.our_rows():
        assert row.key in shown or row == before[row.key]


def test_a_table_with_labels_that_the_model_does_not_have_is_refused(session, make_cells, model):
    session.apply([Change(0, None, P)])
    rows = [row._replace(label="ring") for row in read_labels(session.table).values()]
    write_labels(session.table, rows)
    with pytest.raises(UserError, match="has the label 'ring'"):
        LabelSession(make_cells(), model, session.table, who="Ana", count=40)


def test_where_the_table_cannot_be_written_nothing_is_changed(session):
    session.table.mkdir()
    with pytest.raises(UserError, match="cannot write"):
        session.apply([Change(0, None, P)])
    assert session.since(0) == {"version": 0, "labels": {}}
