"""The pretrained detector on drawn fields: each cell once, where it lies, and nothing else."""

import hashlib
import json
import pickle
import shutil

import numpy as np
import pytest
from PIL import Image, ImageDraw

from malaria.base.errors import UserError
from malaria.fields.field_detector import load_detector
from malaria.saved.pair import default_pair


def red_cells(field):
    """The Boxes of what the pretrained detector takes for whole red cells."""
    return [one.box for one in load_detector()("field.png", field) if one.label is None]


def overlap(box, other):
    """Intersection over union of a Box and of (left, top, width, height)."""
    left, top, width, height = other
    across = min(box.left + box.width, left + width) - max(box.left, left)
    down = min(box.top + box.height, top + height) - max(box.top, top)
    shared = max(0, across) * max(0, down)
    return shared / (box.width * box.height + width * height - shared)


def assert_found(found, places, least=0.6):
    for place in places:
        assert max(overlap(box, place[:4]) for box in found) > least


def squares(centres, radius):
    return [(x - radius, y - radius, 2 * radius, 2 * radius) for x, y in centres]


def discs(draw, centres, radius, colour=(190, 120, 130)):
    for x, y in centres:
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


def blank(width=400, height=300, colour=(225, 232, 226)):
    field = Image.new("RGB", (width, height), colour)
    return field, ImageDraw.Draw(field)


@pytest.mark.parametrize("seed", range(4))
def test_every_cell_is_found_once_and_where_it_lies(draw_field, seed):
    field, boxes = draw_field(rows=4, columns=5, seed=seed, parasitized=(1, 7))
    found = red_cells(field)
    assert len(found) == len(boxes)
    assert_found(found, boxes)


def test_cells_come_from_the_top_down_and_lie_in_the_field(draw_field):
    field, _ = draw_field()
    found = red_cells(field)
    assert found == sorted(found, key=lambda box: (box.top, box.left))
    for box in found:
        assert 0 <= box.left <= box.left + box.width <= field.width
        assert 0 <= box.top <= box.top + box.height <= field.height
        assert box.width > 0 < box.height


@pytest.mark.parametrize("scale", [0.5, 8])
def test_the_size_of_the_image_does_not_matter(draw_field, scale):
    field, boxes = draw_field(rows=4, columns=4)
    large = field.resize([round(side * scale) for side in field.size])
    found = red_cells(large)
    assert len(found) == 16
    assert_found(found, scale * np.array(boxes))


def test_cells_that_touch_are_parted():
    field, draw = blank()
    centres = [(60, 60), (110, 60), (160, 62), (300, 80), (335, 115), (60, 220), (300, 230)]
    discs(draw, centres, 27)
    found = red_cells(field)
    assert len(found) == len(centres)
    assert_found(found, squares(centres, 27))


def test_a_pale_middle_is_no_hole_and_a_gap_within_a_ring_of_cells_no_cell():
    field, draw = blank(500, 500)
    for angle in np.linspace(0, 2 * np.pi, 8, endpoint=False):
        centre = [(250 + 80 * np.cos(angle), 250 + 80 * np.sin(angle))]
        discs(draw, centre, 33)
        discs(draw, centre, 12, (222, 226, 222))
    discs(draw, [(50, 50), (450, 50), (50, 450), (450, 450)], 33)
    found = red_cells(field)
    assert len(found) == 12
    assert all(overlap(box, (215, 215, 70, 70)) < 0.4 for box in found)


def test_half_a_cell_at_the_border_and_a_platelet_are_left_out():
    field, draw = blank()
    discs(draw, [(80, 80), (200, 80), (320, 80), (80, 200), (320, 200)], 30)
    discs(draw, [(200, 303)], 30)  # cut by the border through its middle
    discs(draw, [(200, 190)], 9)  # a platelet
    assert len(red_cells(field)) == 5


def test_the_nuclei_of_white_cells_do_not_hide_pale_red_ones():
    field, draw = blank(600, 400)
    centres = [(80, 80), (200, 80), (320, 80), (80, 200), (80, 320), (200, 320), (500, 90)]
    discs(draw, centres, 35, (215, 185, 190))
    discs(draw, [(380, 270)], 70, (90, 30, 120))
    assert_found(red_cells(field), squares(centres, 35))


def test_light_that_falls_off_to_one_side_does_not_matter(draw_field):
    field, boxes = draw_field(rows=4, columns=5)
    shade = np.linspace(1, 0.65, field.width)[None, :, None]
    found = red_cells(Image.fromarray((np.asarray(field) * shade).astype(np.uint8)))
    assert_found(found, boxes, 0.5)


@pytest.mark.parametrize(
    "image",
    [
        *(np.full((40, 60, 3), level, np.uint8) for level in (0, 120, 255)),
        np.zeros((1, 1, 3), np.uint8),
        np.full((1, 500, 3), 200, np.uint8),
        np.random.default_rng(0).integers(0, 256, (90, 70, 3)).astype(np.uint8),
        np.random.default_rng(0).integers(0, 2, (3, 3, 3)).astype(np.uint8) * 255,
        np.tile(np.linspace(0, 255, 300).astype(np.uint8)[None, :, None], (50, 1, 3)),
    ],
)
def test_where_there_are_no_cells_nothing_fails(image):
    found = red_cells(Image.fromarray(image))
    assert found == [] or image.std() > 50


def through_an_eyepiece(field, radius):
    """(a field as a round view on black, darker outwards; how far out each pixel is, rim 1)."""
    y, x = np.mgrid[: field.height, : field.width]
    far = np.hypot(x - field.width / 2, y - field.height / 2) / radius
    light = (1 - 0.4 * far.clip(0, 1) ** 2) * ((1 - far) / 0.03).clip(0, 1)
    noise = np.random.default_rng(0).normal(3, 1.5, far.shape)
    levels = np.asarray(field) * light[..., None] + noise[..., None]
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8)), far


def test_through_an_eyepiece_whole_cells_are_found_and_what_its_view_cuts_is_counted_apart(
    draw_field,
):
    field, boxes = draw_field(rows=8, columns=14, parasitized=(20, 50))
    view, far = through_an_eyepiece(field, 0.49 * field.height)
    corners = [far[y : y + height, x : x + width] for x, y, width, height, _ in boxes]
    whole = [box for box, part in zip(boxes, corners, strict=True) if part.max() < 0.95]
    found = load_detector()("view.jpg", view)
    red = [one.box for one in found if one.label is None]
    assert len(whole) > 20
    assert_found(red, whole)
    for box in red:
        part = far[box.top : box.top + box.height, box.left : box.left + box.width]
        assert (part > 1).mean() < 0.2
    assert "at the border" in {one.label for one in found}


def test_cells_on_black_are_not_taken_for_cut(draw_field):
    field, _ = draw_field(rows=4, columns=5)
    levels = np.array(field)
    levels[(levels == levels[0, 0]).all(axis=2)] = 0
    found = load_detector()("black.png", Image.fromarray(levels))
    assert {one.label for one in found} == {None}


def test_a_detector_travels_to_another_machine_with_its_file(draw_field, tmp_path):
    for suffix in (".h5", ".json", ".tflite"):
        shutil.copy(default_pair().with_name(f"detector{suffix}"), tmp_path)
    detector = load_detector(tmp_path / "detector.h5")
    field, _ = draw_field()
    sent, expected = pickle.dumps(detector), detector("a.png", field)
    (tmp_path / "detector.tflite").unlink()
    assert pickle.loads(sent)("a.png", field) == expected


@pytest.mark.parametrize("maps", [np.zeros((1, 24, 32, 4)), np.full((1, 24, 32, 5), np.nan)])
def test_what_gives_no_maps_is_refused_in_one_line(maps):
    network = load_detector.__wrapped__().network
    network._idle.clear()
    network._idle.append(lambda images: maps)
    with pytest.raises(UserError, match=r"detector\.tflite: expected the maps \(1, 24, 32, 5\)"):
        network(np.zeros((1, 48, 64, 3), np.float32))


def test_a_tflite_of_another_network_is_no_detector(tmp_path):
    known = json.loads(default_pair().with_name("detector.json").read_text())
    content = default_pair().with_suffix(".tflite").read_bytes()
    known["malaria"]["tflite_sha256"] = hashlib.sha256(content).hexdigest()
    (tmp_path / "a.json").write_text(json.dumps(known))
    (tmp_path / "a.tflite").write_bytes(content)
    shutil.copy(default_pair().with_name("detector.h5"), tmp_path / "a.h5")
    with pytest.raises(UserError, match=r"a\.tflite: ") as caught:
        load_detector(tmp_path / "a.h5")
    assert "\n" not in str(caught.value)
