"""What the tests of training share: batches of arrays, without any files."""

import numpy as np

from malaria.data.dataset import Sample
from malaria.data.pixel_store import Pixels
from malaria.pictures.images import PixelFormat
from malaria.settings.config import Augmentation
from malaria.training.batches import TrainingBatches
from malaria.training.feed import Feed


def pixels_of(images, labels):
    """Pixels of (n, height, width, 3), uint8, and a label, 0 or 1, for each."""
    samples = [Sample(None, int(label), None) for label in labels]
    return Pixels(samples, PixelFormat(images.shape[1:3]), images, np.arange(len(images)))


def feed_of(images, labels, strategy, *, batch_size, stored=None, **augmentation):
    """A Feed that trains and validates on the same images."""
    batches = TrainingBatches(
        pixels_of(images, labels),
        np.arange(len(images)),
        batch_size=batch_size,
        steps=None,
        seed=1,
        augmentation=Augmentation(**augmentation).model_dump(),
    )
    return Feed(strategy, batches, np.arange(len(images)), stored=stored)
