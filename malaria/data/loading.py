"""prepare: the images that a config names, read once and split into two sides."""

import csv
import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from malaria.base.errors import UserError, printable
from malaria.base.files import plain_cell
from malaria.data import dataset, splits
from malaria.data.images import PixelFormat
from malaria.data.pixel_store import Pixels, load_pixels

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
    listed: int = 0

    def sides(self, training, validation):
        """The same images split so; what is excluded is left out of the training side.

        Raises UserError if that side then lacks a label.
        """
        kept = np.array([index for index in training if index not in self.excluded], np.int64)
        if len(np.unique(self.labels[kept])) < len(np.unique(self.labels)):
            raise UserError("exclude: leaves no training images of a label; expected fewer files")
        return replace(self, training=kept, validation=validation)

    @property
    def digest(self):
        """A SHA-256 of the paths, the labels and what is excluded, in order."""
        lines = "\n".join(
            f"{sample.label} {index in self.excluded} {sample.path}"
            for index, sample in enumerate(self.pixels.samples)
        )
        return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()

    def samples(self, indices):
        """The samples of these indices."""
        return [self.pixels.samples[index] for index in indices]


def load_data(config):
    """The images of `config`, split into its two sides: Data. Raises UserError."""
    data = load_images(config)
    training, validation = splits.split_samples(
        data.pixels.samples,
        by=config.split_by,
        test_size=config.test_size,
        seed=config.random_state,
    )
    return data.sides(training, validation)


def load_folds(config, count):
    """(Data without sides, the `count` pairs of sides of a cross-validation). Raises UserError."""
    data = load_images(config)
    parts = splits.fold_samples(
        data.pixels.samples, by=config.split_by, count=count, seed=config.random_state
    )
    return data, parts


def load_images(config):
    """Scan, choose and read the images that `config` names: Data without sides."""
    samples = dataset.scan_folder(config.train_images, config.labels, config.patient_pattern)
    excluded, listed = set(), 0
    if config.exclude is not None:
        excluded, listed = find_excluded(samples, config.exclude, config.train_images)
    samples = splits.choose_samples(samples, config.train_size, seed=config.random_state)
    if config.split_by == "patient":
        # Before the reading, which takes minutes.
        splits.known_patients(samples)
    pixels, unreadable = load_pixels(
        samples,
        PixelFormat(config.image_size),
        cache=config.cache,
        folder=Path(config.output_models) / "cache",
    )
    _check_labels(pixels.samples, config.labels)
    labels = np.array([sample.label for sample in pixels.samples])
    places = [index for index, one in enumerate(pixels.samples) if one.path in excluded]
    none = np.array([], np.int64)
    return Data(pixels, labels, none, none, unreadable, frozenset(places), listed)


def _check_labels(samples, labels):
    present = {sample.label for sample in samples}
    missing = [label for number, label in enumerate(labels) if number not in present]
    if missing:
        raise UserError(f"none of the images of {missing[0]} is readable")


def find_excluded(samples, listing, folder):
    """(paths of the samples, a set, that a .csv with a column `path` names, how many it names).

    Paths are relative to `folder`, the one of the labels' folders, or to where we are. Raises
    UserError if the listing cannot be read, or names none of the samples.
    """
    listed = _read_paths(Path(listing))
    known = {}
    for sample in samples:
        known[os.path.relpath(sample.path, folder)] = sample.path
        known[os.path.abspath(sample.path)] = sample.path
    found = {known.get(os.path.normpath(text), known.get(os.path.abspath(text))) for text in listed}
    found.discard(None)
    if listed and not found:
        raise UserError(
            f"exclude: none of the {len(listed)} files in {listing} is among the images; expected "
            f"paths like {os.path.relpath(samples[0].path, folder)}; received {listed[0][:200]}"
        )
    return found, len(listed)


def _read_paths(listing):
    try:
        with open(listing, newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            rows = csv.DictReader(file)
            if "path" not in (rows.fieldnames or ()):
                raise UserError(f"exclude: expected a column 'path' in the first line of {listing}")
            return [plain_cell(row["path"]) for row in rows if row["path"]]
    except (OSError, ValueError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"exclude: cannot read {listing}: {reason}") from None


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
        listing = printable(config.exclude)
        yield f"excluded: {len(data.excluded)} of {data.listed} files named in {listing}"


def steps_in_epoch(config, data):
    """How many training steps one epoch has."""
    return config.steps_per_epoch or -(-len(data.training) // config.batch_size)
