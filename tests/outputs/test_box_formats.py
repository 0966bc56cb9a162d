"""Boxes in the formats of other programs: by their schemas, and back again."""

import json
import re
from contextlib import closing
from pathlib import Path

import jsonschema
import pytest
from PIL import Image

from malaria.annotations.cell_kinds import own_kinds
from malaria.annotations.read_annotations import read_annotations
from malaria.base.errors import UserError
from malaria.inference.prediction import Prediction
from malaria.outputs.qupath_files import QuPathFiles
from malaria.outputs.writer import Writer
from malaria.pictures.box import Box

LABELS = ("ill", "Uninfected")
NUMBER, TEXT, WHOLE = {"type": "number"}, {"type": "string"}, {"type": "integer", "minimum": 0}
RGB = {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 255}}


def an_object(**parts):
    return {"type": "object", "properties": parts, "required": list(parts)}


def an_array(of, least=0, most=None):
    known = {"type": "array", "items": of, "minItems": least}
    return known | ({"maxItems": most} if most else {})


# What CVAT, Label Studio and pycocotools ask for.
COCO = an_object(
    images=an_array(an_object(id=WHOLE, file_name=TEXT, width=WHOLE, height=WHOLE)),
    annotations=an_array(
        an_object(
            **{"id": WHOLE, "image_id": WHOLE, "category_id": WHOLE, "area": NUMBER},
            **{"bbox": an_array(NUMBER, 4, 4), "iscrowd": {"enum": [0, 1]}, "score": NUMBER},
            segmentation=an_array(an_array(NUMBER)),
        )
    ),
    categories=an_array(an_object(id=WHOLE, name=TEXT)),
)
# RFC 7946, with what QuPath reads of the properties.
POSITION = an_array(NUMBER, 2, 2)
GEOJSON = an_object(
    type={"const": "FeatureCollection"},
    features=an_array(
        an_object(
            type={"const": "Feature"},
            geometry=an_object(
                type={"const": "Polygon"}, coordinates=an_array(an_array(POSITION, 4), 1)
            ),
            properties=an_object(
                objectType={"enum": ["annotation", "detection"]},
                classification=an_object(name=TEXT, color={**RGB, "minItems": 3, "maxItems": 3}),
                measurements={"type": "object", "additionalProperties": NUMBER},
            ),
        )
    ),
)


@pytest.fixture
def predictions(tmp_path):
    """The cells of two fields of one name, and a field without cells."""
    made = []
    for folder in ("w1", "w2"):
        path = tmp_path / folder / "a field.png"
        path.parent.mkdir()
        Image.new("RGB", (80, 60)).save(path)
        for place, label in enumerate((*LABELS, "unlike", "review")):
            unlike = "no cell" if label == "unlike" else None
            box = Box(5 + 15 * place, 7, 14, 20 + len(made))
            made.append(Prediction(path, label, 0.75, (0.75, 0.25), box=box, unlike=unlike))
    return [*made, Prediction(tmp_path / "w3.png", error="no red cells")]


def write(path, predictions):
    known = {"source": "s", "labels": LABELS, "model": "m", "resume": False, "fields": True}
    with closing(Writer(path, **known)) as writer:
        for one in predictions:
            writer.add(one)
        writer.finish()
    return path


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_coco_has_what_cvat_and_label_studio_ask_for(predictions, tmp_path):
    content = read(write(tmp_path / "cells.COCO.json", predictions))
    jsonschema.validate(content, COCO)
    first, second = content["images"]
    assert (first["width"], first["height"]) == (80, 60)
    names = {one["id"]: one["name"] for one in content["categories"]}
    assert list(names.values()) == [*LABELS, "review", "unlike"]
    boxes = content["annotations"]
    assert boxes[0]["bbox"] == [5, 7, 14, 20]
    assert (boxes[0]["score"], boxes[0]["area"]) == (0.75, 280)
    assert [names[one["category_id"]] for one in boxes[:3]] == [*LABELS, "unlike"]
    assert [one["image_id"] for one in boxes] == [first["id"]] * 4 + [second["id"]] * 4
    assert len({one["id"] for one in boxes}) == 8
    [error] = content["errors"]
    assert error == {"image": str(tmp_path / "w3.png"), "error": "no red cells"}


def test_geojson_has_what_qupath_reads(predictions, tmp_path):
    content = read(write(tmp_path / "cells.geojson", predictions))
    jsonschema.validate(content, GEOJSON)
    first, other = content["features"][0], content["features"][1]
    ends = [[5, 7], [19, 7], [19, 27], [5, 27], [5, 7]]
    assert first["geometry"]["coordinates"] == [ends]
    known = first["properties"]
    assert known["classification"]["name"] == "ill"
    assert known["classification"]["color"] != other["properties"]["classification"]["color"]
    assert known["image"] == str(tmp_path / "w1" / "a field.png")
    assert len(content["features"]) == 8
    assert content["errors"][0]["error"] == "no red cells"


@pytest.mark.parametrize("name", ["cells.coco.json", "cells.geojson", "cells.csv"])
def test_boxes_come_back_as_they_went(predictions, tmp_path, name):
    write(tmp_path / name, predictions)
    assert came_back(tmp_path / name) == went(predictions)


def went(predictions):
    return [(one.path, one.box, one.label) for one in predictions if one.box]


def came_back(path):
    fields = [path.parent / folder / "a field.png" for folder in ("w1", "w2")]
    annotations = read_annotations(path, own_kinds(LABELS, "ill"))
    annotations.assign(fields)
    return [
        (field, one.box, one.label)
        for field in fields
        for one in annotations.read(field, (80, 60))[0]
    ]


def test_for_qupath_each_of_several_fields_has_a_file_of_its_own(predictions, feed, tmp_path):
    feed(QuPathFiles(tmp_path / "cells.geojson", LABELS), [*predictions[-1:], *predictions[:4]])
    assert not (tmp_path / "cells_fields").exists()
    feed(QuPathFiles(tmp_path / "cells.geojson", LABELS), predictions)
    names = sorted(path.name for path in (tmp_path / "cells_fields").iterdir())
    assert names[0] == "a field.geojson"
    assert re.fullmatch(r"a field_\w{12}\.geojson", names[1])
    for name, count in zip(names, (4, 4), strict=True):
        content = read(tmp_path / "cells_fields" / name)
        jsonschema.validate(content, GEOJSON)
        assert len(content["features"]) == count


def test_a_field_that_is_gone_when_coco_is_written_is_named(predictions, tmp_path):
    predictions[0].path.unlink()
    with pytest.raises(UserError, match=r"cannot read .*a field\.png again, for its size: no such"):
        write(tmp_path / "cells.coco.json", predictions)
    assert not (tmp_path / "cells.coco.json").exists()
    # The rows are kept.
    assert list(Path(tmp_path).glob("cells.coco.json.*.partial"))
