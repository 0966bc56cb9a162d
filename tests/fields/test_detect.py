"""A detector asked at one scale and at several: each object once, where it lies, in any field."""

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage

from malaria.base.errors import UserError
from malaria.fields.detect import MULTIPLE, PLATELET, RED, TILE, WHITE, Objects, detect
from malaria.fields.scale import _guess, find_diameter
from malaria.training.composed_fields import View
from malaria.training.detection_targets import targets_of

COLOURS = {RED: (200, 60, 60), WHITE: (60, 60, 200), PLATELET: (60, 200, 60)}
# The sides of what a network knows, in its pixels.
KNOWN = (9, 55)


def ask(images):
    """The maps of a network that never errs, for discs on white."""
    [image] = images
    assert all(side % MULTIPLE == 0 for side in image.shape[:2])
    boxes, kinds = [], []
    for kind, colour in COLOURS.items():
        near = np.abs(255 * image - colour).max(axis=-1) < 70
        for rows, columns in ndimage.find_objects(ndimage.label(near)[0]):
            box = columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start
            if all(KNOWN[0] <= side <= KNOWN[1] for side in box[2:]):
                boxes.append(box)
                kinds.append(kind)
    found = np.array(boxes, np.float32).reshape(-1, 4)
    view = View(image, found, np.array(kinds, int), np.ones(len(kinds), bool))
    return targets_of(view, len(COLOURS))[None, ..., : len(COLOURS) + 2]


def paint(size, discs):
    """A field of discs, each (x, y, diameter, kind)."""
    field = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(field)
    for x, y, diameter, kind in discs:
        half = diameter / 2
        draw.ellipse((x - half, y - half, x + half, y + half), fill=COLOURS[kind])
    return field


def grid(size, diameter, kind=RED, step=1.6):
    """Discs beside one another, none of them cut."""
    across, down = (np.arange(diameter, side - diameter, step * diameter) for side in size)
    return [(x, y, diameter, kind) for y in down for x in across]


def assert_each_is_found_once(found, discs, within):
    assert len(found.boxes) == len(discs)
    for x, y, diameter, kind in discs:
        wanted = np.array([x - diameter / 2, y - diameter / 2, diameter, diameter])
        errors = np.abs(found.boxes - wanted).max(axis=1)
        assert errors.min() < within
        assert found.kinds[errors.argmin()] == kind


@pytest.mark.parametrize("diameter", [15, 24, 52, 130, 250])
def test_cells_of_every_size_are_found_without_being_told_it(diameter):
    size = (10 * diameter, 8 * diameter)
    discs = grid(size, diameter)
    field = paint(size, discs)
    found = find_diameter(field, ask)
    assert found == pytest.approx(diameter, rel=0.1)
    assert_each_is_found_once(detect(field, found, ask), discs, within=0.12 * diameter)


def test_a_cell_where_two_tiles_meet_is_found_once_and_whole():
    size = (2 * TILE, TILE + 200)
    discs = grid(size, 24, step=1.3)
    assert_each_is_found_once(detect(paint(size, discs), 24, ask), discs, within=3)


def test_kinds_are_told_apart_and_a_field_without_red_cells_has_no_diameter():
    discs = [(60, 60, 24, RED), (150, 60, 48, WHITE), (220, 60, 12, PLATELET)]
    found = detect(paint((300, 120), discs), 24, ask)
    assert_each_is_found_once(found, discs, within=3)
    assert find_diameter(paint((300, 120), discs[1:]), ask) is None
    assert find_diameter(paint((40, 9000), []), ask) is None


def test_of_two_peaks_at_one_object_the_likelier_one_is_kept():
    maps = np.zeros((1, 48, 48, 5), np.float32)
    maps[0, 20, 20, RED], maps[0, 20, 23, RED], maps[0, 40, 40, RED] = 0.6, 0.9, 0.4
    found = detect(Image.new("RGB", (96, 96)), 24, lambda images: maps)
    np.testing.assert_allclose(found.probabilities, [0.9, 0.4])
    np.testing.assert_allclose(found.boxes[0], [35, 29, 24, 24], atol=0.01)


def test_a_grey_field_is_seen_as_the_same_in_colour():
    seen = []

    def keep(images):
        seen.append(images)
        return np.zeros((1, 48, 48, 5), np.float32)

    grey = Image.fromarray(np.random.default_rng(0).integers(0, 256, (96, 96), dtype=np.uint8))
    for field in (grey, grey.convert("RGB")):
        detect(field, 24, keep)
    np.testing.assert_array_equal(*seen)


def test_a_detector_that_sees_objects_everywhere_is_told_and_does_not_take_for_ever():
    with pytest.raises(UserError, match="the detector sees 21,168 objects in one part"):
        detect(Image.new("RGB", (168, 168)), 24, lambda images: np.full((1, 84, 84, 5), 0.9))


def test_only_the_part_that_is_asked_about_is_looked_at():
    discs = grid((600, 600), 24, step=2)
    found = detect(paint((600, 600), discs), 24, ask, area=(300, 0, 600, 300))
    middles = found.boxes[:, :2] + found.boxes[:, 2:] / 2
    assert len(middles) > 10
    assert (middles[:, 0] >= 300).all()
    assert (middles[:, 1] < 300).all()


def test_few_sure_cells_tell_the_scale_before_many_clumps_that_look_a_little_like_cells():
    """At too large a diameter clumps cover as much as cells do, with half of their probability."""
    clumps = Objects(np.full((6, 4), 150, np.float32), np.zeros(6, int), np.full(6, 0.4))
    cells = Objects(np.full((60, 4), 35, np.float32), np.zeros(60, int), np.full(60, 0.8))
    coarse, fine = _guess(clumps, 640 * 480, 200 / 24), _guess(cells, 640 * 480, 32 / 24)
    assert (coarse.diameter, fine.diameter) == (150, 35)
    assert fine.covered > 2 * coarse.covered
