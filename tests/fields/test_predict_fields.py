"""Fields: each red cell is a prediction with its box; what is no field says so."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageDraw
from plain_network import PlainNetwork

from malaria.base.errors import UserError
from malaria.data.drawing import draw_stain
from malaria.data.drawn_cells import draw_field
from malaria.evaluation.known_accuracy import known_accuracy
from malaria.fields.field_counts import FieldCounts, tally
from malaria.fields.field_detector import load_detector
from malaria.fields.found import Found, cut
from malaria.fields.predict_fields import NO_CELLS, NO_SMEAR, SINGLE, predict_fields
from malaria.inference.classifier import Classifier
from malaria.inference.load_classifier import load_classifier
from malaria.pictures.box import Box
from malaria.pictures.images import PixelFormat
from malaria.pictures.memory import Claim
from malaria.saved.metadata import Metadata

# A guard to which every image is a single cell.
ALL_CELLS = SimpleNamespace(threshold=0.5, reasons=lambda images: [None] * len(images))


@pytest.fixture
def classifier():
    """P(Uninfected) is the mean of the green channel."""
    metadata = Metadata(("Parasitized", "Uninfected"), "Parasitized", PixelFormat((8, 8)))
    network = PlainNetwork(lambda images: images[..., 1].mean(axis=(1, 2))[:, None])
    return Classifier(metadata, network)


@pytest.fixture(scope="module")
def pretrained():
    return load_classifier().for_counting()


def save(image, path):
    image.save(path)
    return path


def test_each_cell_of_a_field_is_classified_as_its_image_would_be(classifier, draw_field, tmp_path):
    field, boxes = draw_field(rows=3, columns=5)
    predictions = list(predict_fields([save(field, tmp_path / "field.png")], classifier))
    assert len(predictions) == len(boxes)
    found = [one.box for one in load_detector()("field.png", field)]
    assert [one.box for one in predictions] == found
    alone = classifier.classify([np.asarray(cut(field, box)) for box in found])
    assert [one.probabilities for one in predictions] == [one.probabilities for one in alone]
    assert {one.path.name for one in predictions} == {"field.png"}


def test_fields_come_in_order_and_each_that_fails_is_a_row_with_its_reason(
    classifier, draw_field, tmp_path
):
    paths = [save(draw_field(seed=number)[0], tmp_path / f"{number}.png") for number in range(3)]
    (tmp_path / "broken.png").write_bytes(b"no image")
    empty = save(Image.new("RGB", (500, 400), (220, 225, 220)), tmp_path / "empty.png")
    mixed = [paths[0], tmp_path / "broken.png", paths[1], empty, *paths[2:], tmp_path / "none.png"]
    predictions = list(predict_fields(mixed, classifier))
    assert list(dict.fromkeys(one.path for one in predictions)) == mixed
    unknown = "not an image of a known kind"
    errors = {"broken.png": unknown, "empty.png": NO_CELLS, "none.png": "no such file"}
    assert {one.path.name: one.error for one in predictions if one.error} == errors


def test_an_image_of_a_single_cell_says_so(classifier, draw_field, tmp_path):
    cell = Image.new("RGB", (100, 100), (225, 230, 225))
    cell.paste((190, 120, 130), (10, 10, 90, 90))
    [prediction] = predict_fields([save(cell, tmp_path / "cell.png")], classifier)
    assert prediction.error == SINGLE
    # Where a guard can tell, the size of the image does not matter, unless there are many cells.
    known = Classifier(classifier.metadata, classifier.network, guard=ALL_CELLS)
    [prediction] = predict_fields([save(cell.resize((300, 300)), tmp_path / "large.png")], known)
    assert prediction.error == SINGLE
    field, boxes = draw_field()
    assert len(list(predict_fields([save(field, tmp_path / "field.png")], known))) == len(boxes)


def test_the_boxes_of_others_are_taken_as_they_are(classifier, draw_field, tmp_path):
    field, _ = draw_field()
    paths = [save(field, tmp_path / name) for name in ("a.png", "b.png")]
    given = [Box(3, 5, 40, 30), Box(100, 90, 20, 25)]

    def find(path, image):
        assert image.size == field.size
        if path == paths[1]:
            raise UserError("not in truth.json")
        return [Found(box) for box in given]

    # However few: who gave them knows that they are cells.
    known = Classifier(classifier.metadata, classifier.network, guard=ALL_CELLS)
    *cells, missing = predict_fields(paths, known, find=find)
    assert [(one.path, one.box) for one in cells] == [(paths[0], box) for box in given]
    alone = classifier.classify([np.asarray(cut(field, box)) for box in given])
    assert [one.probabilities for one in cells] == [one.probabilities for one in alone]
    assert (missing.path, missing.error) == (paths[1], "not in truth.json")


def test_no_more_fields_are_read_ahead_than_there_are_threads(
    classifier, draw_field, tmp_path, monkeypatch
):
    monkeypatch.setattr("malaria.fields.predict_fields.worker_count", lambda: 2)
    path = save(draw_field()[0], tmp_path / "field.png")
    asked = itertools.count()
    predictions = predict_fields((path for _ in zip(range(5), asked, strict=False)), classifier)
    next(predictions)
    assert next(asked) <= 3
    assert len(list(predictions)) == 5 * 12 - 1


def test_the_memory_of_a_large_field_is_taken_until_its_cells_are_classified(
    classifier, draw_field, tmp_path
):
    field = draw_field()[0].resize((1200, 1000))
    path, taken = save(field, tmp_path / "field.png"), []

    def find(path, image):
        taken.append(Claim._taken)
        return [Found(Box(9 * n, 9, 8, 8)) for n in range(5)]

    assert len(list(predict_fields([path], classifier, find=find))) == 5
    assert (taken, Claim._taken) == ([4 * 1200 * 1000], 0)


def test_what_is_no_whole_red_cell_is_a_row_of_its_own_that_no_network_is_asked_about(
    classifier, draw_field, tmp_path
):
    path = save(draw_field()[0], tmp_path / "field.png")
    lies = [Found(Box(9 * n, 9, 8, 8), probability=0.9) for n in range(5)]
    lies.insert(2, Found(Box(70, 50, 30, 30), "leukocyte", 0.75))
    predictions = list(predict_fields([path], classifier, find=lambda path, image: lies))
    assert [one.label for one in predictions].count("leukocyte") == 1
    [white] = [one for one in predictions if one.label == "leukocyte"]
    assert (white.probability, white.probabilities, white.box) == (0.75, None, lies[2].box)


def test_where_most_of_what_was_found_is_no_cell_there_is_no_smear(
    classifier, draw_field, tmp_path
):
    path = save(draw_field()[0], tmp_path / "field.png")
    lies = [Found(Box(9 * n, 9, 8, 8), probability=0.9) for n in range(10)]

    def ask(unlike):
        """The predictions where the guard marks so many of the ten."""
        told = iter(["no cell"] * unlike + [None] * (10 - unlike))
        guard = SimpleNamespace(threshold=0.5, reasons=lambda images: [next(told) for _ in images])
        known = Classifier(classifier.metadata, classifier.network, guard=guard)
        return list(predict_fields([path], known, find=lambda path, image: lies))

    assert [one.error for one in ask(6)] == [NO_SMEAR]
    assert len(ask(5)) == 10


def paint_portrait():
    """A face as it is drawn: an oval, hair, two eyes, a mouth, shoulders."""
    image = Image.new("RGB", (300, 400), (150, 170, 190))
    draw = ImageDraw.Draw(image)
    draw.ellipse((-40, 290, 340, 600), fill=(60, 70, 110))
    draw.ellipse((70, 50, 230, 270), fill=(90, 60, 40))
    draw.ellipse((85, 80, 215, 280), fill=(225, 180, 155))
    for x in (120, 180):
        draw.ellipse((x - 14, 160, x + 14, 175), fill="white")
        draw.ellipse((x - 6, 161, x + 6, 174), fill=(60, 40, 30))
    draw.arc((115, 195, 185, 245), 20, 160, fill=(170, 60, 60), width=6)
    return image


NO_SMEARS = {
    "row": Image.new("RGB", (100_000 // 4, 1), (200, 150, 160)),
    "column": Image.new("RGB", (1, 100_000 // 4), (200, 150, 160)),
    "stripes": Image.fromarray(np.arange(25_000, dtype=np.uint8)[None] * 97),
    "black": Image.new("RGB", (400, 300)),
    "noise": Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    ),
    "portrait": paint_portrait(),
}


@pytest.mark.parametrize("name", NO_SMEARS)
def test_what_is_no_smear_is_one_row_with_the_reason(name, pretrained, tmp_path):
    [row] = predict_fields([save(NO_SMEARS[name], tmp_path / "a.png")], pretrained)
    assert row.error in (NO_CELLS, NO_SMEAR, SINGLE)
    assert row.label is None


def test_a_strip_longer_than_any_field_is_a_row(pretrained, tmp_path):
    strip = save(Image.new("L", (100_000, 1)), tmp_path / "a.png")
    [row] = predict_fields([strip], pretrained)
    assert row.error.startswith("100000 x 1 pixels, more than ")


def test_of_drawn_fields_without_parasites_the_interval_holds_none(pretrained, tmp_path):
    fields = {}
    for number in range(2):
        rng = np.random.default_rng(number)
        field, _ = draw_field(rng, draw_stain(rng), rows=6, columns=8, square=45)
        path = save(field, tmp_path / f"{number}.png")
        fields[path] = FieldCounts()
        for one in predict_fields([path], pretrained):
            fields[path].add(one, pretrained)
    known = known_accuracy(pretrained.metadata)
    row = tally([*fields.values()], pretrained.metadata, accuracy=known)
    assert row["red cells"] > 90
    assert row["low"] == 0 < row["high"] < 0.08
