"""What two parts of the program must say alike."""

import warnings

import numpy as np
import pytest
from PIL import Image

from malaria.data.dataset import Sample
from malaria.data.drawn_cells import write_cells
from malaria.data.pixel_store import load_pixels
from malaria.model import NETWORKS, build_model
from malaria.networks.load_model import load_model
from malaria.networks.save import save_pair
from malaria.pictures.images import PixelFormat, read_image
from malaria.saved.pair import read_architecture
from malaria.training.batches import validation_batches


def kinds_of_pictures(folder):
    """One drawn cell in every mode and format that is promised: their paths."""
    [path, _] = write_cells(folder / "cells", 1)
    cell = Image.open(path).convert("RGB")
    sixteen = Image.fromarray(np.asarray(cell.convert("L")).astype(np.uint16) * 257)
    see_through = cell.convert("RGBA")
    see_through.putalpha(cell.convert("L"))
    pictures = {
        "rgb.png": cell,
        "grey.png": cell.convert("L"),
        "rgba.png": see_through,
        "palette.png": cell.convert("P"),
        "sixteen.png": sixteen,
        "rgb.jpg": cell,
        "grey.jpeg": cell.convert("L"),
        "rgb.bmp": cell,
        "rgb.tif": cell,
        "sixteen.tiff": sixteen,
        "rgb.webp": cell,
    }
    for name, picture in pictures.items():
        picture.save(folder / name)
    return [folder / name for name in pictures]


@pytest.mark.parametrize("cache", ["memory", "disk", "none"])
def test_training_and_classifying_read_the_same_pixels(tmp_path, cache):
    paths = kinds_of_pictures(tmp_path)
    pixel_format = PixelFormat((70, 50))
    samples = [Sample(path, number % 2, None) for number, path in enumerate(paths)]
    pixels, unreadable = load_pixels(samples, pixel_format, cache=cache, folder=tmp_path / "cache")
    assert unreadable == {}
    [batch] = validation_batches(pixels, np.arange(len(paths)), 99)
    for path, fed in zip(paths, batch.images.numpy(), strict=True):
        read = read_image(path, pixel_format).astype(np.float32) * np.float32(pixel_format.scale)
        assert np.abs(fed - read).max() < 1e-6, path


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("label_count", [2, 3])
def test_every_network_is_saved_and_loads_back_with_the_same_answers(tmp_path, name, label_count):
    side = NETWORKS[name].smallest_side + 3
    model = build_model(name, image_size=(side, side), label_count=label_count)
    pair = save_pair(model, tmp_path, "pair", {})
    loaded = load_model(pair, read_architecture(pair))
    images = np.random.default_rng(0).random((2, side, side, 3), np.float32)
    assert (loaded.predict_on_batch(images) == model.predict_on_batch(images)).all()


def test_no_warning_filter_is_lost_while_pictures_are_read(tmp_path):
    before = list(warnings.filters)
    paths = kinds_of_pictures(tmp_path)
    load_pixels(
        [Sample(path, 0, None) for path in paths],
        PixelFormat((40, 40)),
        cache="memory",
        folder=tmp_path,
    )
    assert warnings.filters == before
