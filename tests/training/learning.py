"""What the tests of training share: batches of arrays without any files, and a small network."""

import numpy as np

from malaria.data.dataset import Sample
from malaria.data.pixel_store import Pixels
from malaria.networks.backend import tf
from malaria.pictures.images import PixelFormat
from malaria.settings.config import Augmentation
from malaria.training.pipeline import Pipeline


def pixels_of(images, labels):
    """Pixels of (n, height, width, 3), uint8, and a label, 0 or 1, for each."""
    samples = [Sample(None, int(label), None) for label in labels]
    return Pixels(samples, PixelFormat(images.shape[1:3]), images, np.arange(len(images)))


def pipeline_of(pixels, *, strategy=None, batch_size=8, steps=None, seed=1, **augmentation):
    """A Pipeline that trains and validates on the same images; augmentation: settings of it."""
    every = np.arange(len(pixels.samples))
    return Pipeline(
        strategy or tf.distribute.get_strategy(),
        pixels,
        every,
        every,
        batch_size=batch_size,
        steps=steps,
        seed=seed,
        augmentation=Augmentation(**augmentation).model_dump(),
    )
