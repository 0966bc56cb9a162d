"""Tests of malaria/outputs/table.py."""

import os
from pathlib import Path

import pytest

from malaria.inference.prediction import REVIEW, UNLIKE, Prediction
from malaria.outputs.table import Rows, Table, format_prediction, wants_colour

LABELS = ("Parasitized", "Uninfected")
SICK = Prediction(Path("cells/a.png"), "Parasitized", 0.98765, (0.98765, 0.01235))
WELL = Prediction(Path("cells/b.png"), "Uninfected", 0.6, (0.4, 0.6))
DOUBTFUL = Prediction(Path("cells/d.png"), REVIEW, 0.45, (0.45, 0.55))
BROKEN = Prediction(Path("cells/c.png"), error="damaged: image file is truncated")
NO_CELL = Prediction(Path("cells/e.png"), UNLIKE, 0.9, (0.9, 0.1), unlike="no cell")


@pytest.mark.parametrize(
    ("prediction", "line"),
    [
        (SICK, "cells/a.png\tParasitized\t0.9877"),
        (WELL, "cells/b.png\tUninfected\t0.6000"),
        (DOUBTFUL, "cells/d.png\treview\t0.4500"),
        (NO_CELL, "cells/e.png\tunlike\t0.9000\tno cell"),
        (BROKEN, "cells/c.png\tunreadable\tdamaged: image file is truncated"),
        (Prediction(Path("a\tb\n.png"), "x\ty", 1.0), "a\\tb\\n.png\tx\\ty\t1.0000"),
        (Prediction(Path(os.fsdecode(b"\xff.png")), "x", 0.5), "\\udcff.png\tx\t0.5000"),
        (Prediction(Path("a"), error="odd \x1b[2J"), "a\tunreadable\todd \\x1b[2J"),
    ],
)
def test_a_prediction_is_one_line_of_three_columns_and_of_what_is_no_cell_the_reason(
    prediction, line
):
    assert format_prediction(prediction) == line


@pytest.mark.parametrize(
    ("prediction", "line"),
    [
        (SICK, "Parasitized  0.9877  cells/a.png"),
        (WELL, "Uninfected   0.6000  cells/b.png"),
        (BROKEN, "unreadable           cells/c.png  damaged: image file is truncated"),
        (NO_CELL, "unlike       0.9000  cells/e.png  no cell"),
        (Prediction(Path("\x1b[2J\n"), "Uninfected", 1.0), "Uninfected   1.0000  \\x1b[2J\\n"),
    ],
)
def test_the_table_has_the_path_last(prediction, line):
    assert Table(LABELS, "Parasitized", colour=False).format(prediction) == line


def test_the_table_colours_the_positive_label_doubt_and_what_was_not_read():
    table = Table(LABELS, "Parasitized", colour=True)
    assert table.format(SICK) == "\x1b[31mParasitized\x1b[0m  0.9877  cells/a.png"
    assert table.format(WELL) == "Uninfected   0.6000  cells/b.png"
    assert table.format(DOUBTFUL).startswith("\x1b[33mreview     \x1b[0m  0.4500")
    assert table.format(BROKEN).startswith("\x1b[2munreadable \x1b[0m")


@pytest.mark.parametrize("width", [50, 60, 80])
def test_a_long_path_loses_its_beginning_on_a_narrow_terminal(monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    path = Path("a" * 30, "b" * 30, "cell_1.png")
    line = Table(LABELS, "Parasitized", colour=False).format(Prediction(path, "Uninfected", 1.0))
    assert len(line) <= width
    assert line.startswith("Uninfected   1.0000  ...")
    assert line.endswith("b/cell_1.png")


@pytest.mark.parametrize(
    ("setting", "wanted"),
    [
        ("OTHER=1", True),
        ("NO_COLOR=", True),
        ("NO_COLOR=1", False),
        ("NO_COLOR=0", False),
        ("TERM=dumb", False),
        ("TERM=xterm", True),
    ],
)
def test_colours_are_as_no_color_org_asks(monkeypatch, setting, wanted):
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(*setting.split("="))
    assert wants_colour() is wanted


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_rows_on_a_terminal_are_a_table_and_in_a_pipe_have_tabs(
    capsys, monkeypatch, no_color, coloured
):
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", "xterm")
    for is_terminal in (False, True):
        monkeypatch.setattr("sys.stdout.isatty", lambda known=is_terminal: known)
        rows = Rows(LABELS, "Parasitized")
        rows.add(SICK)
        rows.add(BROKEN)
        rows.finish()
    first, second, *table = capsys.readouterr().out.splitlines()
    assert [first, second] == [format_prediction(SICK), format_prediction(BROKEN)]
    assert [len(line.split("\t")) for line in (first, second)] == [3, 3]
    assert "\t" not in "".join(table)
    assert ("\x1b[2munreadable" in table[1]) is coloured
    assert ("\x1b" in "".join(table)) is coloured
