"""What the tests of training share: batches of arrays, quick trainings, and what these write."""

import csv
import json

import numpy as np

from malaria.data.dataset import Sample
from malaria.data.pixel_store import Pixels
from malaria.networks.backend import tf
from malaria.networks.load_model import load_model
from malaria.pictures.images import PixelFormat
from malaria.saved.pair import find_pair, read_architecture
from malaria.settings.config import Augmentation, Config
from malaria.training.pipeline import Pipeline


def pixels_of(images, labels):
    """Pixels of (n, height, width, 3), uint8, and a label, 0 or 1, for each."""
    samples = [Sample(None, int(label), None) for label in labels]
    return Pixels(samples, PixelFormat(images.shape[1:3]), images, np.arange(len(images)))


def pipeline_of(pixels, *, strategy=None, batch_size=8, steps=None, seed=1, **augmentation):
    """A Pipeline that trains and validates on the same images; augmentation: settings of it."""
    every = np.arange(len(pixels.samples))
    return Pipeline(
        *(strategy or tf.distribute.get_strategy(), pixels, every, every),
        batch_size=batch_size,
        steps=steps,
        seed=seed,
        augmentation=Augmentation(**augmentation).model_dump(),
    )


def settings(cells, folder, **changes):
    """The Config of a training that takes a second."""
    known = {"train_images": cells if isinstance(cells, list) else str(cells), "augmentation": {}}
    known |= {"output_models": str(folder / "models"), "guard": False, "plot_training_data": False}
    known |= {"model": "tiny", "image_size": (16, 16), "epochs": 1, "batch_size": 8}
    return Config(**known | changes)


def rows_of(path):
    """The rows of a .csv, each as a dict."""
    with open(path, newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def model_of(path):
    """The saved network."""
    return load_model(find_pair(path), read_architecture(find_pair(path)))


def details_of(path):
    """What the .json beside this .h5 says under the key malaria."""
    return json.loads(path.with_suffix(".json").read_text())["malaria"]
