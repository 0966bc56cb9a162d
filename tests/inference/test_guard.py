"""The guard: what is no single cell is told, with a reason, and travels with the model."""

import json

import numpy as np
import pytest

from malaria.base.errors import UserError
from malaria.inference.guard import CELL, FEATURES, Guard, features, shrink


def guard_of(threshold=0.5, seed=0, kinds=(CELL, "several", "none")):
    random = np.random.default_rng(seed)
    hidden = random.normal(size=(FEATURES + 1, 8)).astype(np.float32)
    output = random.normal(size=(9, len(kinds))).astype(np.float32)
    return Guard(kinds, hidden, output, threshold)


def images_of(*shape, count=4):
    return np.random.default_rng(1).integers(0, 256, (count, *shape, 3)).astype(np.uint8)


@pytest.mark.parametrize("shape", [(64, 64), (32, 48), (141, 141), (16, 16), (9, 21)])
def test_an_image_of_any_size_becomes_the_means_of_equal_squares(shape):
    images = images_of(*shape)
    squares = shrink(images)
    assert squares.shape == (4, 16, 16, 3)
    np.testing.assert_allclose(squares.mean(axis=(1, 2)), images.mean(axis=(1, 2)) / 255, rtol=1e-5)
    # Each pixel as often as both sizes have a place for it: then all squares are of whole pixels.
    whole = images.repeat(16, axis=1).repeat(16, axis=2) / 255
    height, width = shape
    expected = whole.reshape(4, 16, height, 16, width, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(squares, expected, atol=1e-5)


def test_features_are_the_same_for_turned_images():
    images = images_of(64, 64)
    turned = np.rot90(images, axes=(1, 2))
    np.testing.assert_allclose(features(images), features(turned), rtol=1e-4, atol=1e-4)


def test_a_plain_image_has_its_colour_in_every_ring_and_no_spread():
    known = features(np.full((1, 20, 30, 3), (51, 102, 204), np.uint8))
    assert known.shape == (1, FEATURES)
    np.testing.assert_allclose(known[0, :24].reshape(3, 8).T, [[0.2, 0.4, 0.8]] * 8, rtol=1e-5)
    np.testing.assert_allclose(known[0, 24:], np.log(0.01), atol=0.1)


def test_what_is_likelier_a_cell_than_the_threshold_is_one():
    images = images_of(32, 32, count=60)
    guard = guard_of()
    sure = guard.probabilities(images)
    np.testing.assert_allclose(sure.sum(axis=1), 1, rtol=1e-5)
    threshold = float(np.median(sure[:, 0]))
    reasons = guard_of(threshold).reasons(images)
    assert [reason is None for reason in reasons] == (sure[:, 0] >= threshold).tolist()
    assert set(reasons) <= {None, "several cells or a whole field", "no cell"}


def test_a_guard_is_the_same_after_it_was_saved():
    guard, images = guard_of(0.3), images_of(40, 40)
    again = Guard.from_entries(json.loads(json.dumps(guard.to_entries())), "a.json")
    assert again.threshold == 0.3
    assert again.kinds == guard.kinds
    assert (again.probabilities(images) == guard.probabilities(images)).all()


CHANGES = [
    *({"format": 2}, {"threshold": 2}, {"threshold": None}, {"kinds": ["several", "none"]}),
    *({"kinds": [CELL, "<script>"]}, {"kinds": 5}, {"units": 9}, {"units": 10**9}, {"units": True}),
    *({"hidden": "abc"}, {"hidden": "////" * 500}, {"hidden": None}, {"output": ""}),
]


@pytest.mark.parametrize(
    "entries", [*(guard_of().to_entries() | change for change in CHANGES), {}, [], "x", None]
)
def test_a_strangers_guard_that_cannot_be_is_refused_in_one_line(entries):
    with pytest.raises(UserError, match=r"^a.json: its guard is damaged: [^\n]+$"):
        Guard.from_entries(entries, "a.json")
