"""prepare: the images that a config names, read once and split into two sides."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from malaria import dataset
from malaria.errors import UserError, printable
from malaria.images import PixelFormat
from malaria.pixels import Pixels, load_pixels

# So many unreadable files are named; the rest are counted.
NAMED = 10


@dataclass(frozen=True)
class Data:
    """What a run learns from and is judged by. training and validation: indices into pixels."""

    pixels: Pixels
    labels: np.ndarray
    training: np.ndarray
    validation: np.ndarray
    unreadable: dict
    excluded: frozenset = frozenset()

    def sides(self, training, validation):
        """The same images split so; what is excluded is left out of the training side."""
        training = np.array([index for index in training if index not in self.excluded], np.int64)
        return replace(self, training=training, validation=validation)

    def samples(self, indices):
        """The samples of these indices."""
        return [self.pixels.samples[index] for index in indices]


def load_data(config):
    """Scan, choose, read and split the images that `config` names: Data. Raises UserError."""
    samples = dataset.scan_folder(config.train_images, config.labels, config.patient_pattern)
    samples = dataset.choose_samples(samples, config.train_size, seed=config.random_state)
    if config.split_by == "patient":
        # Before the reading, which takes minutes.
        dataset.known_patients(samples)
    pixels, unreadable = load_pixels(
        samples,
        PixelFormat(config.image_size),
        cache=config.cache,
        folder=Path(config.output_models) / "cache",
    )
    _check_labels(pixels.samples, config.labels)
    training, validation = dataset.split_samples(
        pixels.samples, by=config.split_by, test_size=config.test_size, seed=config.random_state
    )
    labels = np.array([sample.label for sample in pixels.samples])
    excluded = frozenset()
    if config.exclude is not None:
        found = dataset.find_excluded(pixels.samples, config.exclude, config.train_images)
        excluded = frozenset(found)
    data = Data(pixels, labels, training, validation, unreadable, excluded)
    return data.sides(training, validation)


def _check_labels(samples, labels):
    present = {sample.label for sample in samples}
    missing = [label for number, label in enumerate(labels) if number not in present]
    if missing:
        raise UserError(f"none of the images of {missing[0]} is readable")


def describe_data(config, data):
    """Lines that say what lies on each side of the split, and what could not be read."""
    yield from describe_sides(config, data)
    if data.unreadable:
        yield f"left out: {len(data.unreadable)} unreadable images"
    for path, reason in list(data.unreadable.items())[:NAMED]:
        yield f"  {printable(path)}: {printable(reason)}"


def describe_sides(config, data):
    """Lines that say what lies on each side of the split."""
    for name, indices in (("training", data.training), ("validation", data.validation)):
        counts = dataset.count_samples(data.samples(indices), config.labels)
        patients = len({sample.patient for sample in data.samples(indices)} - {None})
        parts = ", ".join(f"{printable(label)} {images}" for label, (images, _) in counts.items())
        yield f"{name}: {len(indices)} images ({parts}) of {patients} patients"
    if data.excluded:
        yield f"excluded from training: {len(data.excluded)} images named in {config.exclude}"


def steps_in_epoch(config, data):
    """How many training steps one epoch has."""
    return config.steps_per_epoch or -(-len(data.training) // config.batch_size)
