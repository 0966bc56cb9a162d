"""What two parts of the program must say alike."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from malaria.data.dataset import Sample
from malaria.data.images import PixelFormat, read_image
from malaria.data.pixel_store import load_pixels
from malaria.data.synthetic import write_cells
from malaria.model import NETWORKS, build_model
from malaria.networks.load import load_model
from malaria.networks.save import save_pair
from malaria.saved.metadata import read_architecture
from malaria.training.batches import validation_batches
from malaria.training.config import NETWORKS, Augmentation, Config

TOP = Path(__file__).parents[2]


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
    [(images, _)] = validation_batches(pixels, np.arange(len(paths)), batch_size=99)
    for path, fed in zip(paths, images.numpy(), strict=True):
        read = read_image(path, pixel_format).astype(np.float32) * np.float32(pixel_format.scale)
        assert np.abs(fed - read).max() < 1e-6, path


def test_the_names_a_config_may_give_are_those_of_the_networks():
    assert tuple(NETWORKS) == NETWORKS


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("label_count", [2, 3])
def test_every_network_is_saved_and_loads_back_with_the_same_answers(tmp_path, name, label_count):
    side = NETWORKS[name].smallest_side + 3
    model = build_model(name, image_size=(side, side), label_count=label_count)
    pair = save_pair(model, tmp_path, "pair", {})
    loaded = load_model(pair, read_architecture(pair))
    images = np.random.default_rng(0).random((2, side, side, 3), np.float32)
    assert (loaded.predict_on_batch(images) == model.predict_on_batch(images)).all()


def test_the_readme_names_every_setting_and_option():
    readme = (TOP / "README.md").read_text(encoding="utf-8")
    for key in [*Config.model_fields, *Augmentation.model_fields]:
        assert f"`{key}`" in readme, key
    for path in ("train.py", "malaria/options.py"):
        source = (TOP / path).read_text(encoding="utf-8")
        options = set(re.findall(r'\badd\(\s*"(--\w+)"', source))
        assert len(options) > 4
        for option in options:
            assert f"`{option}" in readme, option


def test_the_readme_tells_the_defaults_that_there_are():
    readme = (TOP / "README.md").read_text(encoding="utf-8")
    default = Config()
    told = dict(re.findall(r"^\| `(\w+)` \|.*\| ([^|]+) \|$", readme, re.MULTILINE))
    numbers = (
        *("epochs", "batch_size", "learning_rate", "weight_decay", "label_smoothing"),
        *("test_size", "warmup", "random_state", "ema_decay", "progressive_epochs"),
    )
    for key in numbers:
        assert float(told[key]) == getattr(default, key), key
    for key in Augmentation.model_fields:
        value = getattr(default.augmentation, key)
        assert yaml.safe_load(told[key]) == value, key
    for key in ("keep", "exclude", "early_stopping", "progressive_size", "train_size"):
        assert told[key] == "null", key


def test_the_readme_shows_the_files_that_there_are():
    readme = (TOP / "README.md").read_text(encoding="utf-8")
    for path in sorted((TOP / "malaria").glob("*.py")):
        if path.stem != "__init__":
            assert f"{path.name} " in readme, path.name


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
