"""Annotations: boxes of every format, told by content, at their image and no other."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from malaria.annotations import annotation_files, annotation_tables
from malaria.annotations.annotation_records import MOST
from malaria.annotations.cell_kinds import KINDS, kind_of, own_kinds
from malaria.annotations.read_annotations import read_annotations
from malaria.base.errors import UserError
from malaria.pictures.box import Box

SIZE = (100, 80)
# Of the field a.png, 100 x 80 pixels, in every format below.
CELLS = [(10, 20, 30, 24, "ring"), (50, 10, 20, 20, "rbc"), (60, 40, 40, 40, "WBC")]
BOXES = [Box(*sides) for *sides, _ in CELLS]


def objects(cells=CELLS):
    return [dict(zip(("x", "y", "w", "h", "label"), cell, strict=True)) for cell in cells]


def listed(name="a.png", cells=CELLS, **more):
    return {"image": name, "width": None, "height": None, "objects": objects(cells), **more}


def coco(cells=CELLS, **more):
    names = sorted({label for *_, label in cells})
    boxes = [
        {"id": n, "image_id": 7, "category_id": names.index(label), "bbox": sides}
        for n, (*sides, label) in enumerate(cells)
    ]
    categories = [{"id": number, "name": name} for number, name in enumerate(names)]
    images = [{"id": 7, "file_name": "a.png", "width": 100, "height": 80}]
    return {"images": images, "annotations": boxes, "categories": categories} | more


def feature(left, top, width, height, label, **more):
    ends = [(left, top), (left + width, top), (left + width, top + height), (left, top + height)]
    known = {"objectType": "annotation", **more}
    if label:
        known["classification"] = {"name": label, "color": [1, 2, 3]}
    geometry = {"type": "Polygon", "coordinates": [[*map(list, ends), list(ends[0])]]}
    return {"type": "Feature", "id": "0", "geometry": geometry, "properties": known}


def geojson(cells=CELLS, **more):
    return {"type": "FeatureCollection", "features": [feature(*cell, **more) for cell in cells]}


def mask(cells=CELLS, dtype=np.uint16):
    numbers = np.zeros((80, 100), dtype)
    for number, (left, top, width, height, _) in enumerate(cells, start=1):
        numbers[top : top + height, left : left + width] = 3 * number
    return numbers


@pytest.fixture
def write(tmp_path):
    """A function that writes plain values as JSON, text or an array, and gives the path."""

    def save(content, name="boxes.json"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_text(content, encoding="utf-8")
        elif isinstance(content, np.ndarray) and path.suffix == ".npy":
            np.save(path, content)
        elif isinstance(content, np.ndarray) and path.suffix == ".tif":
            tifffile.imwrite(path, content, imagej=content.dtype == np.uint16)
        elif isinstance(content, np.ndarray):
            Image.fromarray(content).save(path)
        else:
            path.write_text(json.dumps(content))
        return path

    return save


def boxes_of(path, field, size=SIZE, **own):
    annotations = read_annotations(path, **own)
    annotations.assign([field])
    return annotations.read(field, size)[0]


def refusal(path, field=Path("a.png"), size=SIZE):
    with pytest.raises(UserError) as caught:
        boxes_of(path, field, size)
    message = str(caught.value)
    assert "\n" not in message
    return message


TABLE = "path;left;top;width;height;label\n" + "".join(
    f"a.png;{';'.join(map(str, cell))}\n" for cell in CELLS
)
YOLO = "0 0.25 0.4 0.3 0.3\n1 0.6 0.25 0.2 0.25 0.99\n\n2 0.6 0.5 1 0.5 1 1 0.6 1\n"


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (coco(), "boxes.json"),
        ([listed()], "boxes.json"),
        (geojson(), "a.geojson"),
        (geojson(image="a.png"), "other.json"),
        (geojson()["features"], "a.json"),
        (TABLE, "boxes.csv"),
        (TABLE.replace(";", "\t").replace("path", "Image"), "boxes.tsv"),
    ],
)
def test_every_file_of_boxes_is_known_by_what_is_in_it(write, tmp_path, content, name):
    found = boxes_of(write(content, name), tmp_path / "a.png")
    assert [one.box for one in found] == BOXES
    assert [one.label for one in found] == ["ring", "rbc", "WBC"]
    assert [one.kind for one in found] == ["parasitized", "uninfected", "leukocyte"]


@pytest.mark.parametrize("names", ["classes.txt", "data.yaml"])
@pytest.mark.parametrize("label_file", ["labels/train/a.txt", "images/train/a.txt"])
def test_a_folder_of_yolo_tells_the_boxes_of_the_images_beside_it(
    write, tmp_path, names, label_file
):
    write(YOLO, label_file)
    (tmp_path / "images" / "train").mkdir(parents=True, exist_ok=True)
    write(
        "ring\nrbc\nWBC\n" if names.endswith("txt") else "names: {0: ring, 1: rbc, 2: WBC}", names
    )
    found = boxes_of(tmp_path, tmp_path / "images" / "train" / "a.png")
    assert [(one.box, one.label) for one in found] == [
        (box, label) for box, (*_, label) in zip(BOXES, CELLS, strict=True)
    ]


@pytest.mark.parametrize(
    ("dtype", "name"),
    [
        (np.uint16, "a_cp_masks.png"),
        (np.uint8, "a_mask.png"),
        (np.uint16, "a_cp_masks.tif"),
        (np.float32, "a.tif"),
        (np.int64, "a_labels.npy"),
    ],
)
def test_each_number_of_a_label_mask_is_a_cell(write, tmp_path, dtype, name):
    path = write(mask(dtype=dtype), f"masks/{name}")
    for given in (path, path.parent):
        found = boxes_of(given, tmp_path / "a.jpg")
        assert [one.box for one in found] == BOXES
        assert {one.kind for one in found} == {"unknown"}


def test_a_mask_of_one_number_for_all_cells_and_one_that_is_the_field_are_refused(write, tmp_path):
    path = write((mask(dtype=np.uint8) > 0).astype(np.uint8) * 255, "a_mask.png")
    assert "has one number for several cells: expected one for each" in refusal(path)
    path = write(mask(dtype=np.uint8), "fields/a.png")
    assert "'a' is a field, and no mask of it" in refusal(path.parent, path)


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((80, 100, 3), np.uint8), "expected one number for each pixel, received 80 x"),
        (np.full((80, 100), 0.5), "expected whole numbers, received fractions"),
        (np.full((80, 100), np.nan), "expected numbers from 0 to 1,000,000, received nan"),
        (np.full((80, 100), -1), "expected numbers from 0 to 1,000,000, received -1"),
        (np.full((80, 100), 2**40), "received 1099511627776"),
        (np.zeros((80, 100), complex), "expected whole numbers, received complex128"),
        (np.zeros((3, 40_000), np.uint8), "more than the"),
        (np.array([{}]), "ValueError"),
    ],
)
def test_an_array_that_is_no_label_mask_is_refused(write, array, reason):
    said = refusal(write(array, "a_masks.npy"))
    assert "a_masks.npy is no label mask: " in said
    assert reason in said


def test_a_pickle_of_cellpose_is_never_opened(write):
    path = write(np.array([{"masks": 1}], object), "masks/a_seg.npy")
    for given in (path, path.parent):
        assert "a pickle of Cellpose, which could run code, and is never opened" in refusal(given)


# ---- which image


def test_fields_of_one_name_keep_the_boxes_of_their_own_folder(write, tmp_path):
    second = [(1, 2, 33, 34, "rbc")]
    path = write([listed("w1/a.png"), listed("w2\\a.png", second)])
    fields = [tmp_path / folder / "a.png" for folder in ("w1", "w2")]
    for field in fields:
        write(np.zeros((80, 100), np.uint8), field)
    annotations = read_annotations(path)
    annotations.assign(fields)
    assert [len(annotations.read(field, SIZE)[0]) for field in fields] == [3, 1]


def test_a_name_that_several_fields_or_images_have_is_refused_and_never_guessed(write, tmp_path):
    fields = [tmp_path / folder / "a.png" for folder in ("w1", "w2")]
    for given, some in (
        ([listed("elsewhere/a.png")], fields),
        ([listed("x/a.png"), listed("y/a.png")], fields[:1]),
    ):
        with pytest.raises(UserError, match=r"nothing tells which field .*a\.png"):
            read_annotations(write(given)).assign(some)
    path = write(YOLO, "labels/a.txt")
    write("ring\nrbc\nWBC", "classes.txt")
    with pytest.raises(UserError, match=r"which field 'a' is, .*a\.jpg and .*a\.png"):
        read_annotations(path.parent).assign([tmp_path / "a.jpg", tmp_path / "a.png"])
    assert "'a.png' is there twice" in refusal(write([listed(), listed()]))


def test_a_field_that_is_found_by_its_place_leaves_its_name_to_no_other(write, tmp_path):
    path = write([listed("w1/a.png")])
    write(np.zeros((80, 100), np.uint8), "w1/a.png")
    annotations = read_annotations(path)
    annotations.assign([tmp_path / "w2" / "a.png", tmp_path / "w1" / "a.png"])
    assert annotations.knows(tmp_path / "w1" / "a.png")
    with pytest.raises(UserError, match=r"^not in .*boxes\.json$"):
        annotations.read(tmp_path / "w2" / "a.png", SIZE)


def test_an_ending_counts_unless_the_file_names_none(write, tmp_path):
    assert "not in" in refusal(write([listed("a.png")]), tmp_path / "a.jpg")
    found = boxes_of(write(geojson(), "a.ome.geojson"), tmp_path / "a.ome.tif")
    assert len(found) == 3


def test_boxes_of_an_image_of_another_size_are_refused(write):
    said = refusal(write([listed(width=200, height=160)]))
    assert said.endswith("boxes.json tells of 200 x 160 pixels, and this image has 100 x 80")


# ---- what is in it


def test_boxes_are_cut_at_the_border_left_out_beyond_it_and_counted(write, tmp_path):
    cells = [
        *((90, 70, 20, 20, "rbc"), (-10, -5, 30, 30, "ring"), (-0.4, 10.4, 20, 20.2, "rbc")),
        *(
            (100, 0, 5, 5, "rbc"),
            (0, 0, 0, 9, "rbc"),
            (0, 0, -5, 9, "rbc"),
            (5, 5, 2, 1e308, "wbc"),
        ),
        *((float("nan"), 0, 9, 9, "rbc"), (0, 10**400, 9, 9, "rbc")),
        (0, 0, 9, 9, "difficult"),
    ]
    annotations = read_annotations(write([listed(cells=cells), listed("b.png")]))
    annotations.assign([Path("a.png")])
    found = annotations.find(Path("a.png"), Image.new("RGB", SIZE))
    assert found == [Box(90, 70, 10, 10), Box(0, 0, 20, 25), Box(0, 10, 20, 21)]
    assert [line.partition(".json: ")[2] for line in annotations.notes] == [
        "1 of its 2 annotated images are not among the fields",
        "5 boxes left out: outside of their image, or of no size",
        "3 boxes that reach beyond their image were cut at its border",
        "no red cells, and left out: 1 boxes of other things and 1 difficult ones",
    ]


def test_a_field_without_red_cells_says_so(write):
    annotations = read_annotations(write([listed(cells=CELLS[2:])]))
    annotations.assign([Path("a.png")])
    with pytest.raises(UserError, match="no red cells are annotated in"):
        annotations.find(Path("a.png"), Image.new("RGB", SIZE))


def test_what_a_person_called_incomplete_is_known(write):
    for told, known in (({}, True), ({"complete": False}, False), ({"complete": True}, True)):
        annotations = read_annotations(write([listed(**told)]))
        annotations.assign([Path("a.png")])
        assert annotations.read(Path("a.png"), SIZE)[1] is known


@pytest.mark.parametrize(
    ("content", "name", "reason"),
    [
        ("[" * 100_000, "a.json", "is not JSON: expected COCO"),
        ("\x00", "a.json", "is not JSON"),
        ({"a": 1}, "a.json", "expected COCO"),
        ([], "a.json", "expected COCO"),
        ([{"image": "a.png"}], "a.json", "is damaged: expected a list of annotated images"),
        ([listed(cells=[("1", 2, 3, 4, None)])], "a.json", "'1' in place of a number"),
        ([listed(cells=[(True, 2, 3, 4, None)])], "a.json", "'True' in place of a number"),
        ([listed(cells=[(1, 2, 3, 4, "heron")])], "a.json", "the label 'heron' is not known"),
        ([listed("a\0b")], "a.json", "in place of an image"),
        (coco(categories=[]), "a.json", "is damaged: expected COCO"),
        (coco(images=[]), "a.json", "is damaged: expected COCO"),
        (coco(annotations=[{"image_id": 7}]), "a.json", "is damaged: expected COCO"),
        (coco(images=[{"id": 7}, {"id": 7}]), "a.json", "two images of one id"),
        ({"features": [{"geometry": 5}]}, "a.json", "is damaged: expected GeoJSON"),
        ("path,left,top\na,1,2\n", "a.csv", "expected a column 'width' in its first line; found"),
        ("path,left,top,width,height\na,1,2,3,x\n", "a.csv", "row 1: expected left, top, width"),
        ("path,left,top,width,height\n", "a.csv", "no annotated images in"),
        ("hello", "a.xyz", "expected a .json (COCO, GeoJSON or a list"),
        ("0 .5 .5 .1 .1\n", "labels/a.txt", "expected the names of the classes in classes.txt"),
    ],
)
def test_what_is_no_annotation_is_refused_in_one_line(write, content, name, reason):
    path = write(content, name)
    said = refusal(path.parent if path.suffix == ".txt" else path)
    assert reason in said
    assert len(said) < 500


@pytest.mark.parametrize("line", ["3 0.5 0.5 0.1 0.1", "0 0.5 0.5", "0 a b c d", "-1 1 1 1 1"])
def test_a_line_that_is_none_of_yolo_is_named(write, line):
    write(f"0 0.5 0.5 0.1 0.1\n{line}\n", "labels/a.txt")
    path = write("a\nrbc", "classes.txt")
    assert (
        f"a.txt: expected a known class, x, y, width and height in line 2; received '{line}'"
        in (refusal(path.parent))
    )


def test_a_file_or_an_image_of_too_many_boxes_is_refused(write, monkeypatch):
    many = [(1, 1, 9, 9, "rbc")] * (MOST + 1)
    assert f"more than {MOST:,} boxes in one image" in refusal(write([listed(cells=many)]))
    monkeypatch.setattr(annotation_tables, "MOST_IN_ALL", 2)
    assert "more than 2 rows" in refusal(write(TABLE, "a.csv"))
    monkeypatch.setattr(annotation_files, "MAX_NODES", 5)
    assert "a.json: more than 5 lists and objects" in refusal(write([listed()], "a.json"))
    monkeypatch.setattr(annotation_files, "MAX_BYTES", 20)
    assert "more than the 20 allowed" in refusal(write([listed()]))
    assert "no file or folder" in refusal(Path("nowhere.json"))


# ---- labels


def test_the_spelling_of_a_label_does_not_count_and_a_strange_one_is_not_guessed():
    for spelled in ("Red Blood Cells", "red_blood_cell", "RBC", "red-blood-cell", " rbcs "):
        assert kind_of(spelled, {}) == "uninfected"
    kinds = {
        **{"Gametocytes": "parasitized", "Infected": "parasitized", "uninfected": "uninfected"},
        **{"White blood cell": "leukocyte", "difficult": "difficult", "unlike": "unknown"},
        **{None: "unknown", " ": "unknown", "??": None, "not infected": None},
    }
    for label, kind in kinds.items():
        assert kind_of(label, {}) == kind
    names = [name for names in KINDS.values() for name in names]
    assert len(set(names)) == len(names)


def test_the_labels_of_a_model_are_known_too(write, tmp_path):
    own = own_kinds(("ill", "well"), "ill")
    path = write([listed(cells=[(1, 2, 9, 9, "ill"), (30, 2, 9, 9, "well")])])
    found = boxes_of(path, tmp_path / "a.png", own=own)
    assert [one.kind for one in found] == ["parasitized", "uninfected"]
