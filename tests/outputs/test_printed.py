"""Tests of malaria/outputs/table.py and summary.py: what a run prints."""

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from malaria.inference.classifier import Classifier
from malaria.inference.predict import Rate
from malaria.inference.prediction import REVIEW, UNLIKE, Prediction
from malaria.outputs.summary import LISTED_GROUPS, Summary
from malaria.outputs.table import Rows, Table, format_prediction, wants_colour
from malaria.pictures.images import PixelFormat
from malaria.saved.metadata import Metadata

LABELS = ("Parasitized", "Uninfected")
SICK = Prediction(Path("cells/a.png"), "Parasitized", 0.98765, (0.98765, 0.01235))
WELL = Prediction(Path("cells/b.png"), "Uninfected", 0.6, (0.4, 0.6))
DOUBTFUL = Prediction(Path("cells/d.png"), REVIEW, 0.45, (0.45, 0.55))
BROKEN = Prediction(Path("cells/c.png"), error="damaged: image file is truncated")
NO_CELL = Prediction(Path("cells/e.png"), UNLIKE, 0.9, (0.9, 0.1), unlike="no cell")
FIELD = Prediction(Path("f.png"), UNLIKE, 0.9, (0.9, 0.1), unlike="several cells or a whole field")


@pytest.mark.parametrize(
    ("prediction", "line", "row"),
    [
        (SICK, "cells/a.png\tParasitized\t0.9877", "Parasitized  0.9877  cells/a.png"),
        (WELL, "cells/b.png\tUninfected\t0.6000", "Uninfected   0.6000  cells/b.png"),
        (DOUBTFUL, "cells/d.png\treview\t0.4500", "review       0.4500  cells/d.png"),
        (NO_CELL, "cells/e.png\tunlike\t0.9000\tno cell",
         "unlike       0.9000  cells/e.png  no cell"),
        (BROKEN, "cells/c.png\tunreadable\tdamaged: image file is truncated",
         "unreadable           cells/c.png  damaged: image file is truncated"),
        (Prediction(Path("a\tb\n\x1b[2J.png"), "x\ty", 1.0),
         "a\\tb\\n\\x1b[2J.png\tx\\ty\t1.0000", r"x\ty         1.0000  a\tb\n\x1b[2J.png"),
        (Prediction(Path(os.fsdecode(b"\xff.png")), "x", 0.5),
         "\\udcff.png\tx\t0.5000", r"x            0.5000  \udcff.png"),
        (Prediction(Path("a"), error="odd \x1b[2J"),
         "a\tunreadable\todd \\x1b[2J", r"unreadable           a  odd \x1b[2J"),
    ],
)  # fmt: skip
def test_a_prediction_is_a_line_with_the_reason_why_it_is_no_cell_and_a_row_with_the_path_last(
    prediction, line, row
):
    assert format_prediction(prediction) == line
    assert Table(LABELS, "Parasitized", colour=False).format(prediction) == row


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
        *((setting, True) for setting in ("OTHER=1", "NO_COLOR=", "TERM=xterm")),
        *((setting, False) for setting in ("NO_COLOR=1", "NO_COLOR=0", "TERM=dumb")),
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


def summarise(*predictions, labels=LABELS, groups=(), **options):
    review = (0.4, 0.6) if REVIEW in labels else None
    names = tuple(label for label in labels if label != REVIEW)
    metadata = Metadata(names, names[0], PixelFormat((8, 8)))
    rate = Rate()
    summary = Summary(Classifier(metadata, network=None, review=review), rate, **options)
    for place, prediction in enumerate(rate.measure(predictions)):
        summary.add(replace(prediction, group=groups[place]) if groups else prediction)
    return summary


def test_counts_name_every_label_in_order_even_if_none_was_found_and_what_is_unreadable():
    assert summarise(WELL, WELL).format_counts() == "Parasitized\t0\nUninfected\t2"
    assert summarise(labels=("c", "a", "b")).format_counts() == "c\t0\na\t0\nb\t0"
    summary = summarise(BROKEN, SICK, BROKEN)
    assert summary.format_counts() == "Parasitized\t1\nUninfected\t0\nunreadable\t2"
    assert (summary.total, summary.unreadable) == (3, 2)


@pytest.mark.parametrize(
    ("predictions", "counts", "share"),
    [
        # Wilson's interval of 1 in 4, by hand: (0.25 + 0.4802 -+ 0.6503) / 1.9604.
        ([SICK, WELL, WELL, WELL, BROKEN], "5 images: Parasitized 1, Uninfected 3; 1 unreadable; ",
         "25.0% [4.6%, 69.9%]"),
        ([SICK], "1 image: Parasitized 1, Uninfected 0; 0 unreadable; ", "100.0% [20.7%, 100.0%]"),
        ([BROKEN], "1 image: Parasitized 0, Uninfected 0; 1 unreadable; ", None),
        ([], "0 images: Parasitized 0, Uninfected 0; 0 unreadable; ", None),
    ],
)  # fmt: skip
def test_the_summary_has_counts_the_speed_and_the_share_with_its_interval(
    predictions, counts, share
):
    first, *rest = summarise(*predictions).describe().split("\n")
    assert first.startswith(counts)
    assert re.fullmatch(r"[\d.]+ images/s", first.removeprefix(counts))
    assert rest == ([f"share of Parasitized [95 % interval]: {share}"] if share else [])


def test_cells_left_for_review_are_counted_but_are_no_part_of_the_share():
    labels = (*LABELS, REVIEW)
    described = summarise(SICK, WELL, DOUBTFUL, DOUBTFUL, labels=labels).describe()
    assert "4 images: Parasitized 1, Uninfected 1, review 2; 0 unreadable" in described
    assert ": 50.0% [9.5%, 90.5%]" in described
    assert summarise(DOUBTFUL, labels=labels).describe().endswith("[95 % interval]: -")


def test_two_groups_or_more_have_a_table_sorted_by_number():
    assert len(summarise(SICK, WELL, groups=["1", "1"]).describe().split("\n")) == 2
    summary = summarise(
        *(WELL, SICK, WELL, SICK, WELL, BROKEN, WELL), groups=["10", "2", "2", "10", "9", "2", None]
    )
    head, *rows = summary.describe().split("\n")[2:]
    assert head.split()[:3] == ["group", *LABELS]
    assert [row.split()[:4] for row in rows] == [
        ["2", "1", "1", "50.0%"],
        ["9", "0", "1", "0.0%"],
        ["10", "1", "1", "50.0%"],
    ]


def test_of_many_groups_some_are_listed_and_the_others_counted():
    count = LISTED_GROUPS + 3
    groups = [str(number) for number in range(count)]
    lines = summarise(*[WELL] * count, groups=groups).describe().split("\n")
    assert lines[-1] == "and 3 more groups"
    assert len(lines) == 2 + 1 + LISTED_GROUPS + 1


def test_of_the_cells_of_fields_no_share_is_told_here_for_the_table_of_fields_has_what_it_needs():
    lines = summarise(SICK, WELL, groups=["1", "2"], thing="cell").describe().split("\n")
    assert len(lines) == 1
    assert lines[0].startswith("2 cells: Parasitized 1, Uninfected 1; 0 unreadable")


def test_what_a_group_is_called_cannot_break_the_table():
    summary = summarise(SICK, WELL, groups=["a\n\x1b[2J", "²"])
    assert [line.split()[0] for line in summary.describe().split("\n")[3:]] == ["a\\n\\x1b[2J", "²"]


def test_the_counts_are_the_result_where_only_they_are_asked_for(capsys):
    summarise(SICK, WELL).finish()
    assert capsys.readouterr().out == ""
    summarise(SICK, WELL, counts_only=True).finish()
    said = capsys.readouterr()
    assert said.out == "Parasitized\t1\nUninfected\t1\n"
    assert said.err.startswith("2 images: Parasitized 1, Uninfected 1; 0 unreadable; ")


def test_earlier_predictions_are_counted_but_not_for_the_speed():
    summary = summarise(BROKEN)
    for prediction in (SICK, WELL):
        summary.add(prediction)
    assert (summary.total, summary.rate.count) == (3, 1)


def test_what_is_no_single_cell_is_counted_with_its_reason_and_left_out_of_the_share():
    summary = summarise(SICK, WELL, FIELD, NO_CELL, FIELD)
    first, share, unlike, doubted = summary.describe().splitlines()
    assert first.startswith("5 images: Parasitized 1, Uninfected 1, unlike 3; 0 unreadable")
    assert share.startswith("share of Parasitized [95 % interval]: 50.0% [")
    assert unlike == (
        "unlike a single cell, and left out of the share: 2: several cells or a whole field; "
        "1: no cell; --fields finds the single cells in whole fields"
    )
    # All three, for the network calls each of them parasitized.
    assert doubted.startswith("called Parasitized but doubted: 3 of them; look at these")
    assert summary.format_counts() == "Parasitized\t1\nUninfected\t1\nunlike\t3"
    surely_well = replace(NO_CELL, probabilities=(0.4, 0.6))
    assert "doubted" not in summarise(SICK, surely_well).describe()
    assert "unlike" not in summarise(SICK, WELL).describe()
