"""Tests of malaria/report.py."""

import os
import re
from pathlib import Path

import pytest

from malaria.classify import Prediction
from malaria.report import Summary, format_prediction

SICK = Prediction(Path("cells/a.png"), "Parasitized", 0.98765, (0.98765, 0.01235))
WELL = Prediction(Path("cells/b.png"), "Uninfected", 0.6, (0.4, 0.6))
BROKEN = Prediction(Path("cells/c.png"), error="damaged: image file is truncated")


def summarise(*predictions, labels=("Parasitized", "Uninfected")):
    summary = Summary(labels)
    for prediction in predictions:
        summary.add(prediction)
    return summary


@pytest.mark.parametrize(
    ("prediction", "line"),
    [
        (SICK, "cells/a.png\tParasitized\t0.9877"),
        (WELL, "cells/b.png\tUninfected\t0.6000"),
        (BROKEN, "cells/c.png\tunreadable\tdamaged: image file is truncated"),
        (Prediction(Path("a\tb\n.png"), "x\ty", 1.0), "a\\tb\\n.png\tx\\ty\t1.0000"),
        (Prediction(Path(os.fsdecode(b"\xff.png")), "x", 0.5), "\\udcff.png\tx\t0.5000"),
        (Prediction(Path("a"), error="odd \x1b[2J"), "a\tunreadable\todd \\x1b[2J"),
    ],
)
def test_a_prediction_is_one_line_of_three_columns(prediction, line):
    assert format_prediction(prediction) == line


def test_counts_name_every_label_in_order_even_if_none_was_found():
    assert summarise(WELL, WELL).format_counts() == "Parasitized\t0\nUninfected\t2"
    assert summarise(labels=("c", "a", "b")).format_counts() == "c\t0\na\t0\nb\t0"


def test_unreadable_pictures_have_a_count_of_their_own():
    summary = summarise(BROKEN, SICK, BROKEN)
    assert summary.format_counts() == "Parasitized\t1\nUninfected\t0\nunreadable\t2"
    assert (summary.total, summary.unreadable) == (3, 2)


@pytest.mark.parametrize(
    ("predictions", "text"),
    [
        (
            [SICK, WELL, WELL, WELL, BROKEN],
            "5 images: Parasitized 1 (25.0%), Uninfected 3 (75.0%); 1 unreadable; ",
        ),
        ([SICK], "1 image: Parasitized 1 (100.0%), Uninfected 0 (0.0%); 0 unreadable; "),
        ([BROKEN], "1 image: Parasitized 0 (0.0%), Uninfected 0 (0.0%); 1 unreadable; "),
        ([], "0 images: Parasitized 0 (0.0%), Uninfected 0 (0.0%); 0 unreadable; "),
    ],
)
def test_the_summary_has_shares_of_the_readable_and_the_speed(predictions, text):
    described = summarise(*predictions).describe()
    assert described.startswith(text)
    assert re.fullmatch(r"[\d.]+ images/s", described.removeprefix(text))
