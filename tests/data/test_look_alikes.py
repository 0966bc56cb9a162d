"""Images that are nearly the same: which are found, and how they are told."""

import numpy as np
import pytest
from PIL import Image

from malaria.data.dataset import LABELS, PATIENT_PATTERN, scan_folder
from malaria.data.drawn_cells import write_cells
from malaria.data.labelled_images import LabelledImages
from malaria.data.look_alikes import describe_look_alikes, find_look_alikes
from malaria.data.pixel_store import load_pixels
from malaria.pictures.images import PixelFormat

CHANGES = {
    "same.bmp": lambda image: image,
    "lossy.jpg": lambda image: image,
    "small.png": lambda image: image.resize((image.width // 2, image.height // 2)),
    "bright.png": lambda image: Image.eval(image, lambda level: min(255, int(level * 1.1))),
    "turned.jpg": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "flipped.png": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "upside.jpg": lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    "round.png": lambda image: image.transpose(Image.Transpose.ROTATE_180),
    "transposed.jpg": lambda image: image.transpose(Image.Transpose.TRANSPOSE),
    "transverse.png": lambda image: image.transpose(Image.Transpose.TRANSVERSE),
}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A folder with 20 drawn cells of each label."""
    folder = tmp_path_factory.mktemp("drawn") / "cells"
    write_cells(folder, 20, seed=3, patients=6)
    return folder


def load(*folders, cache="memory"):
    samples = [one for folder in folders for one in scan_folder(folder, LABELS, PATIENT_PATTERN)]
    return load_pixels(samples, PixelFormat((40, 40)), cache=cache, folder="unused")[0]


@pytest.mark.parametrize("cache", ["memory", "none"])
def test_cells_of_different_images_are_not_alike(drawn, cache):
    assert find_look_alikes(load(drawn, cache=cache)).shape == (0, 2)


@pytest.mark.parametrize("name", CHANGES)
def test_an_image_that_was_saved_again_turned_or_flipped_is_found(drawn, tmp_path, name):
    folder = tmp_path / "Uninfected"
    folder.mkdir()
    originals = sorted((drawn / "Parasitized").iterdir())[:5]
    for number, path in enumerate(originals):
        CHANGES[name](Image.open(path)).save(folder / f"C9_{number}_{name}")
    # Of equal pixels it is a copy, which is told elsewhere.
    expected = [] if name == "same.bmp" else [[number, 40 + number] for number in range(5)]
    assert find_look_alikes(load(drawn, tmp_path)).tolist() == expected


def test_plain_colours_are_not_compared_and_no_pairs_no_line(tmp_path):
    for label, level in zip(LABELS, (3, 4), strict=True):
        (tmp_path / label).mkdir()
        for more in range(3):
            path = tmp_path / label / f"C{level}_{more}.png"
            Image.new("L", (20, 20 + more), level).save(path)
    images = LabelledImages(load(tmp_path)).sides(np.array([0, 3]), np.array([1, 4]))
    assert list(describe_look_alikes(images, LABELS)) == []


def test_pairs_are_told_by_side_and_label_and_the_worst_are_named(drawn, tmp_path):
    for label, name in zip(LABELS, ("a.jpg", "b.jpg"), strict=True):
        (tmp_path / label).mkdir()
        original = sorted((drawn / "Parasitized").iterdir())[len(name) % 5 + ord(name[0]) - 97]
        Image.open(original).save(tmp_path / label / f"C9_{name}")
    images = LabelledImages(load(drawn, tmp_path))
    # The first copy, 40, is trained on like its original; the second, 41, of another label not.
    images = images.sides(np.array([*range(30), 40]), np.array([*range(30, 40), 41]))
    first, *lines = describe_look_alikes(images, LABELS)
    assert first == (
        "look-alikes: 2 pairs of images look alike (saved again, turned or flipped?); 1 lie on "
        "both sides of the split, 1 under two labels"
    )
    assert lines[0].startswith(f"  {drawn}/Parasitized/")
    assert lines[0].endswith(f"{tmp_path}/Uninfected/C9_b.jpg (Uninfected, validation)")
    assert lines[1].endswith(f"{tmp_path}/Parasitized/C9_a.jpg (Parasitized, training)")
