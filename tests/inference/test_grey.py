"""Tests of malaria/inference/grey.py: who has learnt colours is not surprised in silence."""

import numpy as np
import pytest
from PIL import Image
from plain_network import PlainNetwork

from malaria.inference.classifier import Classifier
from malaria.inference.grey import NOTE, describe_notes, find_grey
from malaria.pictures.images import PixelFormat
from malaria.saved.metadata import Metadata

DICE = np.random.default_rng(0)
GREY = np.repeat(DICE.integers(0, 256, (1, 40, 30, 1), dtype=np.uint8), 3, axis=3)


def changed(**places):
    """GREY with other levels of blue; places: the first row that has them."""
    images = GREY.copy()
    for by, row in places.items():
        images[0, row:, :, 2] ^= int(by[1:])
    return images


@pytest.mark.parametrize(
    ("images", "is_grey"),
    [
        *((GREY, True), (changed(_1=0), True), (changed(_8=0), False), (changed(_8=35), False)),
        *((np.zeros_like(GREY), True), (np.full_like(GREY, (255, 255, 0)), False)),
        *((GREY[:, :1, :1], True), (np.full((1, 1, 1, 3), (0, 255, 2), np.uint8), False)),
    ],
)
def test_an_image_is_grey_if_its_channels_are_the_same_but_for_what_webp_makes_of_them(
    images, is_grey
):
    assert find_grey(images).tolist() == [is_grey]
    both = np.concatenate([images, np.full_like(images, (200, 100, 50)), images])
    assert find_grey(both).tolist() == [is_grey, False, is_grey]


def classify(sources, *, colour="RGB", grey_share=0.0):
    metadata = Metadata(("a", "b"), "b", PixelFormat((6, 4), colour), grey_share=grey_share)
    network = PlainNetwork(lambda images: images[:, :1, 0, 0], batch_size=2)
    return [one.note for one in Classifier(metadata, network).classify(sources)]


def test_each_grey_image_has_a_note_whatever_it_was_written_as(tmp_path):
    coloured = Image.new("RGB", (9, 9), (200, 90, 120))
    images = {"l.png": coloured.convert("L"), "rgb.jpg": coloured.convert("L").convert("RGB")}
    images |= {"webp.webp": images["rgb.jpg"], "c.png": coloured, "c.jpg": coloured}
    for name, image in images.items():
        image.save(tmp_path / name)
    paths = [tmp_path / name for name in images] + [tmp_path / "missing.png"]
    assert classify(paths) == [NOTE] * 3 + [None] * 3
    assert classify(paths, colour="BGR") == [NOTE] * 3 + [None] * 3


@pytest.mark.parametrize(
    ("colour", "grey_share"), [("RGB", None), ("RGB", 1.0), ("RGB", 0.3), ("GREY", 0.0)]
)
def test_a_model_that_did_not_learn_colours_or_of_which_that_is_not_known_notes_nothing(
    colour, grey_share
):
    assert classify([GREY[0]], colour=colour, grey_share=grey_share) == [None]


def test_the_notes_are_told_with_their_count():
    assert describe_notes({None: 12}, "image") == []
    [line] = describe_notes({NOTE: 31, None: 9}, "image")
    assert line.startswith("31 of 40 images are grey, and this model learnt colours: on such cells")
