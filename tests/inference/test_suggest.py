"""Tests of malaria/inference/suggest.py, with networks that are plain functions."""

import numpy as np
import pytest
from PIL import Image
from plain_network import PlainNetwork

from malaria.data.dataset import LABELS, make_grouper
from malaria.data.drawn_cells import write_cells
from malaria.evaluation.decisions import from_logits
from malaria.inference.classifier import Classifier
from malaria.inference.labelled_predictions import LabelledPredictions
from malaria.inference.load_classifier import load_classifier
from malaria.inference.predict import predict
from malaria.inference.suggest import BUDGET, suggest
from malaria.pictures.images import PixelFormat
from malaria.saved.metadata import ASSUMED, Metadata


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cells")
    return folder, sorted(write_cells(folder, 16, seed=4, patients=4))


def collect(classifier, cells):
    folder, paths = cells
    collected = LabelledPredictions.of_folder(classifier, folder, group_of=make_grouper("patient"))
    collected.add_all(predict(paths, classifier))
    return collected.known


def as_saved_by_others(network, labels=LABELS, assumed=ASSUMED, outputs=1, size=(64, 64)):
    """A network whose file says nothing, and a list of how many images it was asked about."""
    asked = []

    def count(images):
        asked.append(len(images))
        return network(images)

    pixels = PixelFormat(size, resampling="linear")
    metadata = Metadata(tuple(labels), labels[0], pixels, assumed=frozenset(assumed))
    return Classifier(metadata, PlainNetwork(count, outputs)), asked


def trained(scale=1 / 255, turned=False, **known):
    """The pretrained network as somebody else would have saved it, without metadata."""
    ours = load_classifier()

    def network(images):
        levels = images / np.float32(scale)
        # Its features, for the guard, are no answers.
        answers = ours.network(levels.clip(0, 255) / np.float32(255))[:, :1]
        return 1 - answers if turned else answers

    return as_saved_by_others(network, size=ours.metadata.pixels.size, **known)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"turned": True}, "with --labels=Uninfected,Parasitized --channels=rgb --scale=255: try"),
        ({"scale": 1.0, "assumed": {"scale"}}, " with --scale=1: try it on others"),
        ({}, "none is clearly better than what was assumed (accuracy "),
    ],
    ids=["labels", "grey levels", "right as it is"],
)
def test_what_would_make_more_answers_right_is_told_within_300_images(cells, how, expected):
    classifier, asked = trained(**how)
    known = collect(classifier, cells)
    asked.clear()
    first, second = suggest(classifier, known)
    assert expected in first
    assert second.startswith(("cannot be told apart from it on so few: --", "next best: --"))
    assert 0 < sum(asked) <= BUDGET


@pytest.fixture(scope="module")
def shades(tmp_path_factory):
    """A folder of dark, grey and light images, each with fine stripes of their own width."""
    folder, random = tmp_path_factory.mktemp("shades"), np.random.default_rng(0)
    for number, name in enumerate("abc"):
        (folder / name).mkdir()
        for image in range(24):
            level = np.full((32, 32, 3), 40 + 70 * number + random.integers(-20, 20), np.uint8)
            level[:, ::2] += np.uint8(20 * number)
            Image.fromarray(level).save(folder / name / f"{image}.png")
    return folder, sorted(folder.glob("*/*.png"))


def softmax_near(centres, values):
    squares = np.square(values[:, None] - np.array(centres, np.float32))
    return from_logits(-60 * squares)


@pytest.mark.parametrize("order", ["abc", "bca"])
def test_of_three_labels_scales_and_orders_are_tried(shades, order):
    centres = [(40 + 80 * "abc".index(name)) / 127.5 - 1 for name in order]
    classifier, _ = as_saved_by_others(
        lambda images: softmax_near(centres, images.mean(axis=(1, 2, 3))),
        **{"labels": "abc", "outputs": 3, "size": (32, 32)},
    )
    first, _ = suggest(classifier, collect(classifier, shades))
    labels = "" if order == "abc" else f"--labels={','.join(order)} "
    assert f" with {labels}--channels=rgb --scale=-1..1: try it on others" in first


def test_the_resampling_is_tried(shades):
    def network(images):  # stripes that antialiasing and averaging would blur
        return softmax_near([0.02, 0.2], np.ptp(images, axis=(1, 2, 3)))[:, 1:]

    folder, paths = shades
    labelled = folder, [path for path in paths if path.parent.name in "ac"]
    known = {"labels": "ac", "assumed": {"resampling"}, "size": (32, 24)}
    classifier, asked = as_saved_by_others(network, **known)
    predictions = collect(classifier, labelled)
    asked.clear()
    [first, _] = suggest(classifier, predictions)
    assert "4 ways to read " in first
    assert first.endswith(" with --resampling=nearest: try it on others")
    assert sum(asked) <= BUDGET


def test_a_difference_within_the_noise_decides_nothing(cells):
    classifier, _ = as_saved_by_others(lambda images: images[:, 32, 32, :1].clip(0, 1))
    [first, second] = suggest(classifier, collect(classifier, (cells[0], cells[1][::4])))
    assert "none is clearly better than what was assumed" in first
    assert second.startswith("cannot be told apart from it on so few: ")


def test_of_one_label_alone_that_is_said(cells):
    classifier, asked = trained(turned=True)
    known = [one for one in collect(classifier, cells) if one.true_label == LABELS[0]]
    asked.clear()
    [line] = suggest(classifier, known)
    assert line.startswith("nothing was tried in place of what was assumed: it takes images of two")
    assert line.endswith("all of these are Parasitized")
    assert asked == []


@pytest.mark.parametrize("assumed", [(), {"positive"}])
def test_nothing_is_tried_of_what_was_said(cells, assumed):
    classifier, asked = trained(turned=True, assumed=assumed)
    known = collect(classifier, cells)
    asked.clear()
    assert suggest(classifier, known) == []
    assert asked == []
