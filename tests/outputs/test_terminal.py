"""Tests of malaria/report.py."""

import os
import re
from pathlib import Path

import pytest
from malaria.outputs.terminal import LISTED_GROUPS, Summary, Table, format_prediction, wants_colour

from malaria.inference.classifier import REVIEW
from malaria.inference.prediction import Prediction

LABELS = ("Parasitized", "Uninfected")
SICK = Prediction(Path("cells/a.png"), "Parasitized", 0.98765, (0.98765, 0.01235))
WELL = Prediction(Path("cells/b.png"), "Uninfected", 0.6, (0.4, 0.6))
DOUBTFUL = Prediction(Path("cells/d.png"), REVIEW, 0.45, (0.45, 0.55))
BROKEN = Prediction(Path("cells/c.png"), error="damaged: image file is truncated")


def summarise(*predictions, labels=LABELS, groups=()):
    summary = Summary(labels, labels[0])
    summary.start()
    for place, prediction in enumerate(predictions):
        summary.add(prediction, groups[place] if groups else None)
    return summary


@pytest.fixture
def columns(monkeypatch):
    """A function that makes the terminal that wide."""
    return lambda count: monkeypatch.setenv("COLUMNS", str(count))


@pytest.mark.parametrize(
    ("prediction", "line"),
    [
        (SICK, "cells/a.png\tParasitized\t0.9877"),
        (WELL, "cells/b.png\tUninfected\t0.6000"),
        (DOUBTFUL, "cells/d.png\treview\t0.4500"),
        (BROKEN, "cells/c.png\tunreadable\tdamaged: image file is truncated"),
        (Prediction(Path("a\tb\n.png"), "x\ty", 1.0), "a\\tb\\n.png\tx\\ty\t1.0000"),
        (Prediction(Path(os.fsdecode(b"\xff.png")), "x", 0.5), "\\udcff.png\tx\t0.5000"),
        (Prediction(Path("a"), error="odd \x1b[2J"), "a\tunreadable\todd \\x1b[2J"),
    ],
)
def test_a_prediction_is_one_line_of_three_columns(prediction, line):
    assert format_prediction(prediction) == line


@pytest.mark.parametrize(
    ("prediction", "line"),
    [
        (SICK, "Parasitized  0.9877  cells/a.png"),
        (WELL, "Uninfected   0.6000  cells/b.png"),
        (BROKEN, "unreadable           cells/c.png  damaged: image file is truncated"),
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
def test_a_long_path_loses_its_beginning_on_a_narrow_terminal(columns, width):
    columns(width)
    path = Path("a" * 30, "b" * 30, "cell_1.png")
    line = Table(LABELS, "Parasitized", colour=False).format(Prediction(path, "Uninfected", 1.0))
    assert len(line) <= width
    assert line.startswith("Uninfected   1.0000  ...")
    assert line.endswith("b/cell_1.png")


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, True),
        ({"NO_COLOR": ""}, True),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": "0"}, False),
        ({"TERM": "dumb"}, False),
        ({"TERM": "xterm"}, True),
    ],
)
def test_colours_are_as_no_color_org_asks(monkeypatch, settings, wanted):
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert wants_colour() is wanted


def test_counts_name_every_label_in_order_even_if_none_was_found():
    assert summarise(WELL, WELL).format_counts() == "Parasitized\t0\nUninfected\t2"
    assert summarise(labels=("c", "a", "b")).format_counts() == "c\t0\na\t0\nb\t0"


def test_unreadable_pictures_have_a_count_of_their_own():
    summary = summarise(BROKEN, SICK, BROKEN)
    assert summary.format_counts() == "Parasitized\t1\nUninfected\t0\nunreadable\t2"
    assert (summary.total, summary.unreadable) == (3, 2)


@pytest.mark.parametrize(
    ("predictions", "counts", "share"),
    [
        (
            [SICK, WELL, WELL, WELL, BROKEN],
            "5 images: Parasitized 1, Uninfected 3; 1 unreadable; ",
            # Wilson's interval of 1 in 4, by hand: (0.25 + 0.4802 -+ 0.6503) / 1.9604.
            "25.0% [4.6%, 69.9%]",
        ),
        ([SICK], "1 image: Parasitized 1, Uninfected 0; 0 unreadable; ", "100.0% [20.7%, 100.0%]"),
        ([BROKEN], "1 image: Parasitized 0, Uninfected 0; 1 unreadable; ", None),
        ([], "0 images: Parasitized 0, Uninfected 0; 0 unreadable; ", None),
    ],
)
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
    summary = summarise(
        *(WELL, SICK, WELL, SICK, WELL, BROKEN, WELL),
        groups=["10", "2", "2", "10", "9", "2", None],
    )
    head, *rows = summary.describe().split("\n")[2:]
    assert head.split()[:3] == ["group", *LABELS]
    assert [row.split()[:4] for row in rows] == [
        ["2", "1", "1", "50.0%"],
        ["9", "0", "1", "0.0%"],
        ["10", "1", "1", "50.0%"],
    ]


def test_one_group_needs_no_table():
    assert len(summarise(SICK, WELL, groups=["1", "1"]).describe().split("\n")) == 2


def test_of_many_groups_some_are_listed_and_the_others_counted():
    count = LISTED_GROUPS + 3
    groups = [str(number) for number in range(count)]
    lines = summarise(*[WELL] * count, groups=groups).describe().split("\n")
    assert lines[-1] == "and 3 more groups"
    assert len(lines) == 2 + 1 + LISTED_GROUPS + 1


def test_what_a_group_is_called_cannot_break_the_table():
    summary = summarise(SICK, WELL, groups=["a\n\x1b[2J", "²"])
    assert [line.split()[0] for line in summary.describe().split("\n")[3:]] == ["a\\n\\x1b[2J", "²"]


def test_what_takes_time_after_the_last_picture_does_not_slow_the_speed(monkeypatch):
    clock = iter([10.0, 11.0, 12.0, 999.0])
    monkeypatch.setattr("malaria.outputs.terminal.time.perf_counter", lambda: next(clock))
    summary = summarise(SICK, WELL)
    assert summary.images_per_second == 1.0


def test_earlier_predictions_are_counted_but_not_for_the_speed():
    summary = Summary(LABELS, "Parasitized")
    summary.add(SICK)
    summary.add(WELL)
    summary.start()
    summary.add(BROKEN)
    assert (summary.total, summary.new) == (3, 1)
