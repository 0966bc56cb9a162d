"""Tests of malaria/data/labelled_images.py."""

import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from malaria.base.errors import UserError
from malaria.data.dataset import LABELS, Sample
from malaria.data.exclusion import Exclusion
from malaria.data.labelled_images import (
    LabelledImages,
    check_labels,
    describe_images,
    describe_sides,
)
from malaria.data.pixel_store import Pixels
from malaria.pictures.images import PixelFormat

# Those of four patients, two of each label; the last is of no known patient.
SAMPLES = [
    Sample(Path(f"cells/{LABELS[label]}/C{patient}_{number}.png"), label, patient)
    for label in (0, 1)
    for patient in ("1", "2", "3", "4")
    for number in (0, 1)
]
SAMPLES[-1] = replace(SAMPLES[-1], patient=None)
EXCLUSION = Exclusion(frozenset({SAMPLES[1].path, SAMPLES[8].path}), "mine.csv", 5)


def images_of(samples=SAMPLES, **changes):
    pixels = Pixels(list(samples), PixelFormat((8, 8)), None, np.arange(len(samples)))
    return LabelledImages(pixels, **changes)


def test_what_is_excluded_is_left_out_of_the_training_side_only():
    assert images_of().excluded == frozenset()
    images = images_of(exclusion=EXCLUSION)
    assert images.labels.tolist() == [0] * 8 + [1] * 8
    split = images.sides(np.array([0, 1, 2, 9, 10]), np.array([3, 8]))
    assert split.training.tolist() == [0, 2, 9, 10]
    assert split.validation.tolist() == [3, 8]
    assert split.excluded == {1, 8}
    assert split.chosen(split.validation) == [SAMPLES[3], SAMPLES[8]]
    assert len(images.training) == len(images.validation) == 0
    # None of label 0 would be left.
    with pytest.raises(UserError, match="no training images of a label are left after"):
        images.sides(np.array([1, 9, 10]), np.array([0, 8]))


def test_the_digest_differs_as_soon_as_the_images_their_labels_patients_or_the_exclusion_do():
    relabelled = [replace(SAMPLES[0], label=1), *SAMPLES[1:]]
    renamed = [replace(SAMPLES[0], path=Path("a.png")), *SAMPLES[1:]]
    odd = [replace(SAMPLES[0], path=Path(os.fsdecode(b"a\xff.png")))]  # no UTF-8
    moved = [replace(SAMPLES[0], patient="another"), *SAMPLES[1:]]
    others = map(images_of, (SAMPLES, relabelled, renamed, moved, SAMPLES[1:], SAMPLES[::-1], odd))
    digests = {images.digest for images in (*others, images_of(exclusion=EXCLUSION))}
    assert len(digests) == 8
    assert images_of().sides(np.array([0, 8]), np.array([1, 9])).digest == images_of().digest


def test_both_sides_are_described_with_what_was_left_out():
    images = images_of(
        exclusion=EXCLUSION, unreadable={Path("cells/a\x1b.png"): "damaged: \n", Path("b"): "why"}
    )
    split = images.sides(np.array([0, 1, 2, 8, 9, 12, 15]), np.array([3, 4, 10]))
    assert list(describe_images(split, LABELS)) == [
        "training: 5 images (Parasitized 2, Uninfected 3) of 3 patients",
        "validation: 3 images (Parasitized 2, Uninfected 1) of 2 patients",
        "excluded: 2 of 5 files named in mine.csv",
        "left out: 2 unreadable images",
        r"  cells/a\x1b.png: damaged: \n",
        "  b: why",
    ]
    assert list(describe_sides(split, LABELS)) == list(describe_images(split, LABELS))[:3]


def test_each_of_several_sources_is_described_by_its_counts():
    sources = [replace(sample, source="xy"[sample.label]) for sample in SAMPLES]
    split = images_of(sources).sides(np.arange(16), np.array([0, 8, 9]))
    assert list(describe_sides(split, LABELS)) == [
        "training: 16 images (Parasitized 8, Uninfected 8) of 4 patients",
        "  x: Parasitized 8",
        "  y: Uninfected 8",
        "validation: 3 images (Parasitized 1, Uninfected 2) of 1 patients",
        "  x: Parasitized 1",
        "  y: Uninfected 2",
    ]


def test_where_nothing_was_left_out_only_the_sides_are_described():
    split = images_of().sides(np.arange(16), np.array([], int))
    assert list(describe_images(split, ("a\r", "b"))) == [
        r"training: 16 images (a\r 8, b 8) of 4 patients",
        r"validation: 0 images (a\r 0, b 0) of 0 patients",
    ]


@pytest.mark.parametrize(
    ("parasitized", "uninfected", "times"), [(3, 8, None), (2, 8, "4"), (8, 1, "8")]
)
def test_an_imbalance_is_told_with_its_remedy(parasitized, uninfected, times):
    indices = np.array([*range(parasitized), *range(8, 8 + uninfected)])
    lines = "\n".join(describe_sides(images_of().sides(indices, np.array([0])), LABELS))
    told = re.findall("^imbalance: (.*) times as many images of .*set balance: label$", lines, re.M)
    assert told == ([times] if times else [])


def test_of_many_unreadable_images_ten_are_named():
    unreadable = {Path(f"{number}.png"): "no image" for number in range(12)}
    lines = list(describe_images(images_of(unreadable=unreadable), LABELS))
    assert "left out: 12 unreadable images" in lines
    assert sum(line.startswith("  ") for line in lines) == 10


def test_every_label_needs_an_image():
    check_labels(SAMPLES, LABELS)
    for label, samples in zip(LABELS, (SAMPLES[8:], SAMPLES[:8]), strict=True):
        with pytest.raises(UserError, match=f"^none of the images of {label} is readable$"):
            check_labels(samples, LABELS)
