"""Tests of malaria/outputs/field_boxes.py: which box is of which kind, and which cells are seen."""

from dataclasses import replace

import pytest
from PIL import Image

from malaria.inference.classifier import Classifier
from malaria.inference.prediction import APART, REVIEW, UNLIKE, Prediction
from malaria.outputs.field_boxes import CELLS, KINDS, describe_field, place
from malaria.pictures.box import Box
from malaria.pictures.images import PixelFormat
from malaria.saved.metadata import Metadata

LABELS = ("Parasitized", "Uninfected")
MODEL = Classifier(Metadata(LABELS, LABELS[0], PixelFormat((8, 8))), network=None)


def cell(label, positive=None, left=0, **known):
    both = None if positive is None else (positive, 1 - positive)
    return Prediction(None, label, positive, both, box=Box(left, 5, 20, 10), **known)


@pytest.mark.parametrize(
    ("one", "kind", "in_doubt"),
    [
        (cell("Parasitized", 0.95), "positive", False),
        (cell("Parasitized", 0.6), "positive", True),
        (cell("Uninfected", 0.05), "other", False),
        (cell("Uninfected", 0.2), "doubtful", True),
        (cell(REVIEW, 0.5), REVIEW, True),
        (cell(UNLIKE, 0.95, unlike="several"), "doubted", True),
        (cell(UNLIKE, 0.4, unlike="several"), UNLIKE, False),
        *((cell(name), name, False) for name in APART),
        (cell("of a damaged file"), UNLIKE, False),
    ],
)
def test_each_cell_is_of_one_kind(one, kind, in_doubt):
    placed = place(one, one.box, MODEL)
    assert (placed.kind, placed.in_doubt) == (kind, in_doubt)
    assert kind in KINDS


@pytest.fixture
def path(tmp_path):
    Image.new("RGB", (300, 200), (230, 230, 230)).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_the_least_sure_cells_are_shown_first_and_all_others_are_one_outline_of_their_kind(path):
    sure = [cell("Uninfected", 0.01, left) for left in (0, 20)]
    seen = [cell("Parasitized", 0.95, 40), cell("Parasitized", 0.8, 60), cell(REVIEW, 0.55, 80)]
    known = describe_field(3, path, [*sure, *seen], MODEL)
    assert known["outlines"] == {"other": "M0 5h20v10h-20zM20 5h20v10h-20z"}
    assert [one["probability"] for one in known["cells"]] == [0.55, 0.8, 0.95]
    assert [one["id"] for one in known["cells"]] == ["3-0", "3-1", "3-2"]
    assert known["cells"][0]["outline"] == "M80 5h20v10h-20z"
    assert known["counts"] == {"other": 2, "positive": 2, REVIEW: 1}
    assert (known["in doubt"], known["left out"], known["size"]) == (2, 0, (300, 200))


def test_of_many_cells_to_look_at_the_surest_have_their_boxes_only_and_are_counted(path):
    many = [cell("Parasitized", 0.9 + n / 1000, n) for n in range(CELLS + 3)]
    known = describe_field(0, path, [replace(many[0], box=None), *many], MODEL)
    assert known["left out"] == 3
    assert known["outlines"]["positive"].count("M") == 3
    assert max(one["probability"] for one in known["cells"]) < 0.94
    assert known["counts"] == {"positive": CELLS + 3}
