"""Tests of malaria/inference/explain.py and of what makes the next start quick."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from malaria.base.errors import UsageError, UserError
from malaria.data.images import PixelFormat, UnreadableImageError
from malaria.inference.classifier import Classifier
from malaria.inference.explain import Overlays
from malaria.inference.load import load_classifier, prepare_next_start
from malaria.inference.predict import predict
from malaria.networks.backend import keras
from malaria.outputs.html_parts import as_jpeg
from malaria.saved.metadata import Metadata

LABELS = ("Parasitized", "Uninfected")
METADATA = Metadata(LABELS, "Parasitized", PixelFormat((9, 7)))


class WithKeras(Classifier):
    def load_keras(self):
        keras.utils.set_random_seed(1)
        layers = [keras.layers.Conv2D(3, 3, activation="relu"), keras.layers.Flatten()]
        end = keras.layers.Dense(1, activation="sigmoid")
        return keras.Sequential([keras.Input((9, 7, 3)), *layers, end])


@pytest.fixture
def classifier():
    return WithKeras(METADATA, lambda images: images[:, :1, 0, 0])


@pytest.fixture
def folder(write_cells):
    folder = write_cells()
    (folder / "Uninfected" / "broken.png").write_bytes(b"nothing")
    return folder


def test_an_overlay_is_written_for_each_readable_picture(folder, tmp_path, classifier):
    overlays = Overlays(tmp_path / "looked", [folder], classifier)
    predictions = list(predict(sorted(folder.glob("*/*.png")), classifier))
    explained = list(overlays.explain(predictions))
    assert [one.path for one in explained] == [one.path for one in predictions]
    written = sorted(tmp_path.glob("looked/**/*.png"))
    assert len(written) == 8
    assert sorted(one.overlay for one in explained if one.overlay) == written
    for one in explained:
        assert (one.overlay is None) is (one.error is not None)
        assert one.overlay is None or as_jpeg(one.overlay).startswith(b"\xff\xd8")


@pytest.mark.parametrize("inside", [".", "looked", "Uninfected/looked"])
def test_overlays_do_not_go_where_the_next_run_would_take_them_for_cells(
    folder, inside, classifier
):
    with pytest.raises(UsageError, match="--explain: expected a folder outside of "):
        Overlays(folder / inside, [folder], classifier)


def test_one_picture_is_explained_in_python(tmp_path):
    from malaria.data.synthetic import write_cells

    path = write_cells(tmp_path / "cells", 1, seed=3)[0]
    explanation = load_classifier().explain(path)
    assert explanation.heat_map.shape == (64, 64)
    assert 0 <= explanation.heat_map.min() < explanation.heat_map.max() <= 1
    assert (explanation.overlay.mode, explanation.overlay.size) == ("RGB", (64, 64))
    assert explanation.prediction == load_classifier().classify(path)[0]


def test_what_cannot_be_explained_is_refused(tmp_path, classifier):
    (tmp_path / "broken.png").write_bytes(b"nothing")
    with pytest.raises(UnreadableImageError):
        classifier.explain(tmp_path / "broken.png")
    pictures = [Image.new("RGB", (9, 7))] * 2
    with pytest.raises(UsageError, match="expected one picture; received 2"):
        classifier.explain(pictures)
    with pytest.raises(UsageError, match="received float32"):
        classifier.explain(np.zeros((9, 7, 3), np.float32))


def test_a_next_start_that_cannot_be_made_quicker_is_no_failure(capsys):
    def fail():
        raise UserError("cannot write /a\x1b: Read-only file system")

    def make(**changes):
        return Classifier(METADATA, network=None, **changes)

    prepare_next_start(make())
    assert capsys.readouterr().err == ""
    prepare_next_start(make(afterwards=fail))
    assert capsys.readouterr().err == (
        "the next start will not be quicker: cannot write /a\\x1b: Read-only file system\n"
    )
    prepare_next_start(make(afterwards=lambda: Path("models/a.tflite")))
    assert capsys.readouterr().err.startswith("saved models/a.tflite, ")
