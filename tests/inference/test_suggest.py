"""Tests of malaria/inference/suggest.py, with networks that are plain functions."""

import numpy as np
import pytest
from plain_network import PlainNetwork

from malaria.data.dataset import LABELS, make_grouper
from malaria.data.drawn_cells import write_cells
from malaria.inference.classifier import Classifier
from malaria.inference.evaluate import LabelledPredictions
from malaria.inference.load_classifier import load_classifier
from malaria.inference.predict import predict
from malaria.inference.suggest import suggest
from malaria.pictures.images import PixelFormat
from malaria.saved.metadata import Metadata


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cells")
    return folder, sorted(write_cells(folder, 20, seed=4, patients=5))


def collect(classifier, cells):
    folder, paths = cells
    collected = LabelledPredictions.of_folder(classifier, folder, group_of=make_grouper("patient"))
    collected.add_all(predict(paths, classifier))
    return collected.known


def trained(scale=1 / 255, turned=False):
    """The pretrained network as somebody else would have saved it, without metadata."""
    ours = load_classifier()

    def network(images):
        levels = images / np.float32(scale)
        answers = ours.network(levels.clip(0, 255) / np.float32(255))
        return 1 - answers if turned else answers

    assumed = Metadata(LABELS, LABELS[0], PixelFormat((64, 64)), is_assumed=True)
    return Classifier(assumed, PlainNetwork(network))


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"turned": True}, "with --labels=Uninfected,Parasitized --channels=rgb"),
        ({"scale": 1.0}, " --scale=1: try it on others"),
        ({}, None),
    ],
    ids=["labels", "grey levels", "right as it is"],
)
def test_what_would_make_more_answers_right_is_told(cells, how, expected):
    classifier = trained(**how)
    line = suggest(classifier, collect(classifier, cells))
    assert line is None if expected is None else expected in line
    assert line is None or line.endswith(": try it on others")


def test_of_one_label_alone_nothing_can_be_said(cells):
    classifier = trained(turned=True)
    known = [one for one in collect(classifier, cells) if one.true_label == LABELS[0]]
    assert suggest(classifier, known) is None
