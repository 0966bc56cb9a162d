"""What two parts of the program must say alike."""

import warnings

import numpy as np
import pytest
from PIL import Image

from malaria.data.dataset import Sample
from malaria.data.drawn_cells import write_cells
from malaria.data.pixel_store import load_pixels
from malaria.inference.litert import LiteRTNetwork
from malaria.model import NETWORKS, build_model
from malaria.networks.backend import keras
from malaria.networks.load_model import load_model
from malaria.networks.save import save_pair
from malaria.pictures.images import PixelFormat, read_image
from malaria.saved.pair import read_architecture
from malaria.training.batches import validation_batches


def kinds_of_images(folder):
    """One drawn cell in every mode and format that is promised: their paths."""
    [path, _] = write_cells(folder / "cells", 1)
    cell = Image.open(path).convert("RGB")
    grey, see_through = cell.convert("L"), cell.convert("RGBA")
    sixteen = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    see_through.putalpha(grey)
    images = {
        **{f"rgb.{ending}": cell for ending in ("png", "jpg", "bmp", "tif", "webp")},
        **{"grey.png": grey, "grey.jpeg": grey, "rgba.png": see_through},
        **{"palette.png": cell.convert("P"), "sixteen.png": sixteen, "sixteen.tiff": sixteen},
    }
    for name, image in images.items():
        image.save(folder / name)
    return [folder / name for name in images]


@pytest.mark.parametrize("cache", ["memory", "disk", "none"])
def test_training_and_classifying_read_the_same_pixels_and_lose_no_warning(tmp_path, cache):
    filters, paths = list(warnings.filters), kinds_of_images(tmp_path)
    pixel_format = PixelFormat((70, 50))
    samples = [Sample(path, number % 2, None) for number, path in enumerate(paths)]
    pixels, unreadable = load_pixels(samples, pixel_format, cache=cache, folder=tmp_path / "cache")
    assert unreadable == {}
    [batch] = validation_batches(pixels, np.arange(len(paths)), 99)
    for path, fed in zip(paths, batch.images.numpy(), strict=True):
        read = read_image(path, pixel_format).astype(np.float32) * np.float32(pixel_format.scale)
        assert np.abs(fed - read).max() < 1e-6, path
    assert warnings.filters == filters


# The large ones have no layers that these have not, but for a softmax: keras_cnn ends in that too.
@pytest.mark.parametrize(
    ("name", "label_count"), [("vgg", 2), ("compact", 2), ("keras_cnn", 2), ("keras_cnn", 3)]
)
def test_a_saved_network_answers_alike_in_keras_and_litert_in_batches_of_any_size(
    tmp_path, capfd, name, label_count
):
    keras.utils.set_random_seed(1)
    size = (NETWORKS[name].smallest_side + 5, NETWORKS[name].smallest_side + 2)
    model = build_model(name, image_size=size, label_count=label_count)
    pair = save_pair(model, tmp_path, "pair", {})
    loaded, network = load_model(pair, read_architecture(pair)), LiteRTNetwork(pair.tflite)
    random = np.random.default_rng(2)
    # Of unlike strength and far from 0..1, so that untrained weights answer unlike too.
    strength = 10 ** random.uniform(-2, 2, size=(15, 1, 1, 1))
    images = (strength * random.normal(size=(15, *size, 3))).astype(np.float32)
    expected = model(images, training=False).numpy()
    assert (loaded(images, training=False).numpy() == expected).all()
    answers = [network(part) for part in np.split(images, (1, 6, 9, 14))]
    assert {answer.dtype for answer in answers} == {np.dtype(np.float32)}
    np.testing.assert_allclose(np.concatenate(answers), expected, rtol=0, atol=1e-4)
    assert np.ptp(expected, axis=0).min() > 0.05
    assert network.output_count == expected.shape[1]
    assert capfd.readouterr() == ("", "")
