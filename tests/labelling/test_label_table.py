"""Tests of malaria/labelling/label_table.py: labels.csv is read as it was written, or refused."""

import pytest
from PIL import Image

from malaria.annotations.read_annotations import read_annotations
from malaria.base.errors import UserError
from malaria.labelling.label_table import (
    COLUMNS,
    LabelRow,
    check_labels,
    read_labels,
    write_labels,
)
from malaria.pictures.box import Box
from malaria.pictures.remote_path import RemotePath

KNOWN = ("Ana", "2026-11-30T10:00:00Z")


def row(path, box=Box(1, 2, 30, 40), label="Parasitized", why="random", stands_for=12.5):  # noqa: B008
    return LabelRow(path, box, label, "7", *KNOWN, why, "Uninfected", 0.25, stands_for)


def test_a_table_is_read_as_it_was_written_whatever_the_names_are(tmp_path):
    rows = [
        row(tmp_path / "a.png"),
        row(tmp_path / "a.png", Box(5, 2, 30, 40), "no red cell"),
        row(tmp_path / "=x,\"<b>'\U0001f9a0.png", None, "", "doubt", None),
        row(RemotePath("s3://bucket/a.png")),
        row(tmp_path.parent / "elsewhere.png"),
    ]
    write_labels(tmp_path / "labels.csv", rows)
    assert list(read_labels(tmp_path / "labels.csv").values()) == rows
    first, second, *_ = (tmp_path / "labels.csv").read_text("utf-8-sig").splitlines()
    assert first == ",".join(COLUMNS)
    assert second.startswith("a.png,1,2,30,40,Parasitized,7,Ana,2026-11-30T10:00:00Z,random,Un")


def test_the_table_is_one_of_boxes_for_the_cells_of_fields(tmp_path):
    field = tmp_path / "a.png"
    boxes = [Box(1, 2, 30, 40), Box(50, 0, 9, 9), Box(0, 50, 9, 9)]
    labels = ["Parasitized", "", "no red cell"]
    rows = [row(field, box, label) for box, label in zip(boxes, labels, strict=True)]
    write_labels(tmp_path / "labels.csv", rows)
    annotations = read_annotations(tmp_path / "labels.csv")
    annotations.assign([field])
    assert annotations.find(field, Image.new("RGB", (100, 100))) == boxes[:2]


HEAD = ",".join(COLUMNS)
GOOD = "a.png,1,2,3,4,P,7,Ana,now,random,U,0.5,2"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "expected the columns path, left"),
        ("path,label\na.png,P", "expected the columns path, left"),
        (f"{HEAD}\n{GOOD},1", "row 2: expected 13 cells; received 14"),
        (f"{HEAD}\n{GOOD}\n\n{GOOD}", "row 4: the same cell as in a row above"),
        (
            f"{HEAD}\n{GOOD.replace('random', 'chance')}",
            "row 2: expected random or doubt",
        ),
        (f"{HEAD}\n{GOOD.replace('0.5', '1.5')}", "a number from 0 to 1 under probability"),
        (f"{HEAD}\n{GOOD.replace('0.5,2', '0.5,')}", "under stands_for; received ''"),
        (f"{HEAD}\n{GOOD.replace('0.5,2', 'nan,2')}", "under probability; received 'nan'"),
        (
            f"{HEAD}\n{GOOD.replace('1,2,3,4', '1,2,3,')}",
            "expected left, top, width and height of a cell",
        ),
        (
            f"{HEAD}\n{GOOD.replace('1,2,3,4', '1,2,0,4')}",
            "expected left, top, width and height of a cell",
        ),
        (f"{HEAD}\n{GOOD.replace('a.png', '')}", "row 2: expected a path; received ''"),
    ],
)
def test_a_table_that_somebody_broke_is_refused_in_one_line(tmp_path, text, told):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_labels(path)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_text() == text


def test_a_table_that_a_spreadsheet_saved_with_semicolons_is_read(tmp_path):
    (tmp_path / "labels.csv").write_text(f"{HEAD}\n{GOOD}".replace(",", ";"))
    assert [one.box for one in read_labels(tmp_path / "labels.csv").values()] == [Box(1, 2, 3, 4)]


def test_a_label_that_the_model_does_not_have_is_refused_for_it_would_be_lost(tmp_path):
    check_labels(tmp_path, [row(tmp_path / "a.png", label="no red cell")], ["ring"])
    with pytest.raises(UserError, match=r"the label 'Parasitized': expected 'ring', 'no red cell'"):
        check_labels(tmp_path, [row(tmp_path / "a.png")], ["ring"])
