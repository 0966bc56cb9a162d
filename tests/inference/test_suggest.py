"""Tests of malaria/inference/suggest.py, with networks that are plain functions."""

import numpy as np
import pytest
from plain_network import PlainNetwork

from malaria.data.dataset import make_grouper
from malaria.data.drawn_cells import write_cells
from malaria.inference.classifier import Classifier
from malaria.inference.evaluate import LabelledPredictions
from malaria.inference.load_classifier import load_classifier
from malaria.inference.predict import predict
from malaria.inference.suggest import suggest
from malaria.pictures.images import PixelFormat
from malaria.saved.metadata import Metadata

LABELS = ("Parasitized", "Uninfected")


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cells")
    return folder, sorted(write_cells(folder, 20, seed=4, patients=5))


def collect(classifier, cells):
    folder, paths = cells
    collected = LabelledPredictions.of_folder(classifier, folder, group_of=make_grouper("patient"))
    collected.add_all(predict(paths, classifier))
    return collected.known


def trained(colour="RGB", scale=1 / 255, offset=0.0, turned=False):
    """The pretrained network as somebody else would have saved it, without metadata."""
    ours = load_classifier()

    def network(images):
        levels = (images - np.float32(offset)) / np.float32(scale)
        levels = levels[..., ::-1] if colour == "BGR" else levels
        answers = ours.network(np.ascontiguousarray(levels.clip(0, 255) / np.float32(255)))
        return 1 - answers if turned else answers

    assumed = Metadata(LABELS, LABELS[0], PixelFormat((64, 64)), is_assumed=True)
    return Classifier(assumed, PlainNetwork(network))


def test_what_is_right_as_it_is_needs_no_other_options(cells):
    classifier = trained()
    assert suggest(classifier, collect(classifier, cells)) is None


def test_another_order_of_labels_is_seen(cells):
    classifier = trained(turned=True)
    line = suggest(classifier, collect(classifier, cells))
    assert "with --labels=Uninfected,Parasitized --channels=rgb" in line
    assert line.endswith(": try it on others")


def test_other_grey_levels_are_seen(cells):
    classifier = trained(scale=1.0)
    line = suggest(classifier, collect(classifier, cells))
    assert line.endswith(" --scale=1: try it on others")


def test_of_one_label_alone_nothing_can_be_said(cells):
    classifier = trained(turned=True)
    known = [one for one in collect(classifier, cells) if one.true_label == LABELS[0]]
    assert suggest(classifier, known) is None
