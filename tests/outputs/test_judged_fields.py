"""--fields --evaluate: what is written and said, and what is left out."""

import json

import pytest
from PIL import Image

from malaria.annotations.annotation_records import Content, Record, Rectangle
from malaria.annotations.annotations import Annotations
from malaria.base.errors import UserError
from malaria.inference.prediction import Prediction
from malaria.outputs.judged_fields import JudgedFields
from malaria.pictures.box import Box
from malaria.pictures.places import Places

LABELS = ("Parasitized", "Uninfected")


@pytest.fixture
def judge(tmp_path, classifier, feed):
    """A function: the predictions of some fields, judged by the annotations of others."""

    def run(predictions, annotated, size=None):
        records = [
            Record(name, tmp_path / "s" / name, Content([Rectangle(*one) for one in cells], size))
            for name, cells in annotated.items()
        ]
        annotations = Annotations(tmp_path / "truth.json", records)
        annotations.assign({one.path: None for one in predictions})
        output = JudgedFields(tmp_path / "m.json", classifier, annotations, Places([]))
        output.notes = ["a note"]
        feed(output, predictions)
        return json.loads((tmp_path / "m.json").read_text())

    (tmp_path / "s").mkdir()
    for name in ("a.png", "b.png", "c.png"):
        Image.new("RGB", (200, 100), (220, 220, 220)).save(tmp_path / "s" / name)
    return run


@pytest.fixture
def fields(tmp_path):
    def cell(name, left, label="Uninfected"):
        return Prediction(tmp_path / "s" / name, label, 0.9, box=Box(left, 30, 30, 30), group=name)

    return [
        *(cell("a.png", 20), cell("a.png", 60, "Parasitized"), cell("a.png", 100)),
        *(cell("b.png", 20), cell("b.png", 150)),
        *(cell("c.png", 20), Prediction(tmp_path / "s" / "gone.png", error="no such file")),
    ]


TRUTH = {
    "a.png": [(20, 30, 30, 30, "rbc"), (60, 30, 30, 30, "ring"), (100, 30, 30, 30, "ring")],
    "b.png": [(20, 30, 30, 30, "rbc"), (60, 30, 30, 30, "ring"), (100, 30, 30, 30, "rbc")],
}


def test_metrics_plot_and_pictures_of_what_was_missed(judge, fields, tmp_path, capsys):
    told = judge(fields, TRUTH)
    assert (told["recall"]["count"], told["recall"]["of"]) == (4, 6)
    assert (told["precision"]["count"], told["precision"]["of"]) == (4, 5)
    assert told["sensitivity_of_the_found"]["value"] == 0.5
    assert told["parasitaemia"]["fields"]["count"] == 2
    assert told["left_out"] == {"not annotated": 2}
    assert (told["positive"], told["notes"]) == ("Parasitized", ["a note"])
    missed = sorted(path.relative_to(tmp_path / "m_missed") for path in tmp_path.rglob("*_30.png"))
    assert {path.parts[0]: path.name for path in missed} == {
        "found and no cell": "b_150_30_30_30.png",
        "parasitized and not called so": "a_100_30_30_30.png",
        "parasitized not found": "b_60_30_30_30.png",
        "uninfected not found": "b_100_30_30_30.png",
    }
    assert (tmp_path / "m_agreement.svg").read_text().count("bias and 95 % limits") == 2
    said = capsys.readouterr().err
    assert f"2 fields compared with {tmp_path}/truth.json\n" in said
    assert "left out of the comparison: 2: not annotated\n" in said


def test_an_image_of_another_size_is_left_out_and_no_field_at_all_is_an_error(judge, fields):
    with pytest.raises(UserError, match=r"could be judged \(.*1: .*tells of 50 x 40 pixels"):
        judge(fields, {"a.png": TRUTH["a.png"]}, (50, 40))


def test_pictures_of_another_run_are_not_mixed_with_new_ones(judge, fields):
    judge(fields, TRUTH)
    with pytest.raises(UserError, match=r"^--metrics: .*m_missed holds images: name another"):
        judge(fields, TRUTH)
