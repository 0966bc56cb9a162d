"""Tests of malaria/inference/classifier.py."""

from dataclasses import replace

import numpy as np
import pytest

from malaria.base.errors import UsageError
from malaria.inference.classifier import Classifier
from malaria.inference.load_classifier import load_classifier
from malaria.pictures.images import PixelFormat
from malaria.saved.metadata import Metadata

IMAGES = np.random.default_rng(4).integers(256, size=(5, 8, 6, 3), dtype=np.uint8)


def plain(**changes):
    metadata = Metadata(("sick", "well"), "well", PixelFormat((8, 6)), 0.5)
    return Classifier(replace(metadata, **changes), network=None)


def test_cells_between_the_bounds_of_review_have_no_label():
    classifier = plain().with_threshold(review=(0.3, 0.8))
    probabilities = np.array([[1 - well, well] for well in (0.1, 0.3, 0.31, 0.5, 0.79, 0.8, 0.9)])
    assert classifier.decide(probabilities) == ["sick"] * 2 + ["review"] * 3 + ["well"] * 2
    assert classifier.answers == ("sick", "well", "review")
    assert plain().answers == ("sick", "well")


def test_deciding_otherwise_leaves_the_classifier_as_it_was():
    classifier = plain(threshold=0.4)
    assert classifier.with_threshold().metadata.threshold == 0.4
    assert classifier.with_threshold(threshold=0.7).metadata.threshold == 0.7
    assert classifier.metadata.threshold == 0.4


@pytest.mark.parametrize("options", [{"threshold": 0.5}, {"review": (0.1, 0.2)}])
def test_thresholds_are_for_two_labels(options):
    classifier = plain(labels=("sick", "well", "dust"))
    assert classifier.with_threshold() == classifier
    with pytest.raises(UsageError, match="expected a model of two labels; this one has 3"):
        classifier.with_threshold(**options)


def test_the_identity_tells_classifiers_apart_that_answer_otherwise(pairs):
    path = pairs["ours"][0]
    one = load_classifier(path)
    others = [
        load_classifier(pairs["historic"][0]),
        load_classifier(path, labels=["a", "b"]),
        one.with_threshold(threshold=0.7),
        one.with_threshold(review=(0.4, 0.6)),
        one.with_threshold(review=(0.4, 0.7)),
        replace(one, metadata=replace(one.metadata, pixels=PixelFormat((8, 6), "BGR"))),
    ]
    identities = {classifier.identity for classifier in [one, *others]}
    assert len(identities) == 1 + len(others)
    assert load_classifier(path, engine="keras").identity == one.identity


@pytest.mark.parametrize(
    ("images", "received"),
    [
        (IMAGES / 255, "received float64"),
        (IMAGES.astype(np.int64), "received int64"),
        (IMAGES[0], r"received \(8, 6, 3\)"),
        (IMAGES[..., 0], r"received \(5, 8, 6\)"),
        (IMAGES[:0], r"received \(0, 8, 6, 3\)"),
        (IMAGES.tolist(), "received list"),
    ],
)
def test_predict_takes_grey_levels_of_8_bits_and_nothing_else(images, received):
    with pytest.raises(UsageError, match=received):
        plain().predict(images)
