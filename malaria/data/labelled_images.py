"""labelled_images: what a run trains and validates on: images, labels and the two sides."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from malaria.base.errors import UserError
from malaria.base.text import printable
from malaria.data.dataset import Sample, count_by_source, count_samples
from malaria.data.duplicates import count_copies
from malaria.data.exclusion import Exclusion
from malaria.data.pixel_store import Pixels
from malaria.pictures.cell_in_field import ImagePath
from malaria.pictures.passed_over import PassedOver

# With this many times as many images of one label as of another, a line says so.
IMBALANCE = 4
# This many unreadable files are named; the rest are counted.
NAMED = 10


@dataclass(frozen=True)
class LabelledImages:
    """Images with labels, and which of them are on the training and on the validation side.

    pixels: of all readable images. unreadable: {path: reason} of the others. passed_over: in the
    folders and tables. training, validation: indices into pixels.samples; none before `sides`.
    copies_left_out: of validation images, from training. contradicted: images that are left out,
    for their pixels are there under two labels.
    """

    pixels: Pixels
    unreadable: dict[ImagePath, str] = field(default_factory=dict)
    exclusion: Exclusion = field(default_factory=Exclusion)
    passed_over: PassedOver = field(default_factory=PassedOver)
    training: np.ndarray = field(default_factory=lambda: np.arange(0))
    validation: np.ndarray = field(default_factory=lambda: np.arange(0))
    copies_left_out: int = 0
    contradicted: Sequence[Sample] = ()

    @property
    def samples(self) -> list[Sample]:
        """The sample of each image, in the order of the indices."""
        return self.pixels.samples

    @property
    def failures(self) -> list[UserError]:
        """Why an image could not be read again, while training."""
        return self.pixels.failures

    @cached_property
    def labels(self) -> np.ndarray:
        """The label of each image, (n,), integers."""
        return np.array([sample.label for sample in self.samples])

    @cached_property
    def excluded(self) -> frozenset[int]:
        """The indices of the images that are never trained on."""
        paths = self.exclusion.paths
        return frozenset(n for n, sample in enumerate(self.samples) if sample.path in paths)

    @property
    def digest(self) -> str:
        """A SHA-256 of the paths, the labels, the patients and what is excluded, in order."""
        lines = "\n".join(
            f"{sample.label} {sample.patient} {index in self.excluded} {sample.path}"
            for index, sample in enumerate(self.samples)
        )
        return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()

    def sides(self, training: np.ndarray, validation: np.ndarray) -> "LabelledImages":
        """The same images on these two sides; what is excluded is left out of training.

        So are copies of validation images. Raises UserError if training then lacks a label.
        """
        allowed = [index for index in training if index not in self.excluded]
        copied = {sample.content for sample in self.chosen(validation)} - {None}
        kept = np.array([n for n in allowed if self.samples[n].content not in copied], np.int64)
        if len(np.unique(self.labels[kept])) < len(np.unique(self.labels)):
            raise UserError(
                "no training images of a label are left after those that exclude names and copies "
                "of validation images: expected fewer of these"
            )
        copies = len(allowed) - len(kept)
        return replace(self, training=kept, validation=validation, copies_left_out=copies)

    def chosen(self, indices: np.ndarray) -> list[Sample]:
        """The samples of these indices."""
        return [self.samples[index] for index in indices]


def check_labels(samples: Sequence[Sample], labels: Sequence[str]) -> None:
    """Raise UserError if a label has no image."""
    for label, count in count_samples(samples, labels).items():
        if count == 0:
            raise UserError(f"none of the images of {label} is readable")


def describe_images(images: LabelledImages, labels: Sequence[str]) -> Iterator[str]:
    """The lines of describe_sides, and what was passed over, is double or could not be read."""
    yield from describe_sides(images, labels)
    yield from images.passed_over.describe(labels)
    if copies := count_copies(images.samples):
        yield f"duplicates: {copies} images are copies of others, by their pixels"
    if images.unreadable:
        yield f"left out: {len(images.unreadable)} unreadable images"
    for path, reason in list(images.unreadable.items())[:NAMED]:
        yield f"  {printable(path)}: {printable(reason)}"


def describe_sides(images: LabelledImages, labels: Sequence[str]) -> Iterator[str]:
    """Lines for people: what lies on each side of the split."""
    for name, indices in (("training", images.training), ("validation", images.validation)):
        samples = images.chosen(indices)
        patients = len({sample.patient for sample in samples} - {None})
        counts = _describe_counts(count_samples(samples, labels))
        yield f"{name}: {len(indices)} images ({counts}) of {patients} patients"
        by_source = count_by_source(samples, labels)
        for source, known in by_source.items() if len(by_source) > 1 else ():
            yield f"  {printable(source)}: {_describe_counts(+Counter(known))}"
    if images.copies_left_out:
        yield f"left out of training: {images.copies_left_out} copies of validation images"
    yield from _describe_imbalance(count_samples(images.chosen(images.training), labels))
    if images.excluded:
        listed = f"{images.exclusion.listed} files named in {printable(images.exclusion.listing)}"
        yield f"excluded: {len(images.excluded)} of {listed}"


def _describe_counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{printable(label)} {count}" for label, count in counts.items())


def _describe_imbalance(counts: dict[str, int]) -> Iterator[str]:
    few, many = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    ratio = counts[many] / max(1, counts[few])
    if ratio >= IMBALANCE:
        yield (
            f"imbalance: {ratio:.0f} times as many images of {printable(many)} as of "
            f"{printable(few)}; the network may never answer {printable(few)}: set balance: label"
        )
