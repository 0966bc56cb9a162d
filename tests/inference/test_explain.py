"""Tests of malaria/inference/explain.py."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from plain_network import PlainNetwork

from malaria.base.errors import UsageError
from malaria.inference.classifier import Classifier
from malaria.inference.explain import Overlays
from malaria.inference.load_classifier import load_classifier
from malaria.inference.predict import predict
from malaria.networks.backend import keras
from malaria.outputs.html_parts import as_jpeg
from malaria.pictures.folders import find_images
from malaria.pictures.images import PixelFormat, UnreadableImageError
from malaria.pictures.places import Places
from malaria.saved.metadata import Metadata

METADATA = Metadata(("Parasitized", "Uninfected"), "Parasitized", PixelFormat((9, 7)))


class WithKeras(Classifier):
    def load_keras(self):
        keras.utils.set_random_seed(1)
        layers = [keras.layers.Conv2D(3, 3, activation="relu"), keras.layers.Flatten()]
        end = keras.layers.Dense(1, activation="sigmoid")
        return keras.Sequential([keras.Input((9, 7, 3)), *layers, end])


@pytest.fixture
def classifier():
    return WithKeras(METADATA, PlainNetwork(lambda images: images[:, :1, 0, 0]))


def test_an_overlay_is_written_for_each_readable_image(folder, tmp_path, classifier):
    predictions = list(predict(sorted(folder.glob("**/*.png")), classifier))
    explained = list(
        Overlays(tmp_path / "looked", Places([folder]), classifier).explain(predictions)
    )
    assert [replace(one, overlay=None) for one in explained] == predictions
    written = sorted(tmp_path.glob("looked/**/*.png"))
    assert len(written) == 9
    assert sorted(one.overlay for one in explained if one.overlay) == written
    for one in explained:
        assert (one.overlay is None) is (one.error is not None)
        assert one.overlay is None or as_jpeg(one.overlay).startswith(b"\xff\xd8")


def test_an_image_that_is_gone_by_then_has_no_overlay_and_stops_nothing(
    folder, tmp_path, classifier, capsys
):
    predictions = list(predict(sorted(folder.glob("Parasitized/*.png")), classifier))
    gone = predictions[1].path
    gone.unlink()
    explained = list(
        Overlays(tmp_path / "looked", Places([folder]), classifier).explain(predictions)
    )
    assert [replace(one, overlay=None) for one in explained] == predictions
    assert [one.path for one in explained if one.overlay is None] == [gone]
    assert f"no overlay of {gone}: no such file" in capsys.readouterr().err


def test_images_of_one_name_share_no_overlay_and_no_link_is_written_through(
    folder, tmp_path, classifier, capsys
):
    one, two, other = (tmp_path / name for name in ("ward1", "ward2", "other"))
    shutil.copytree(folder / "Uninfected", one)
    shutil.copytree(folder / "Uninfected", two)
    other.mkdir()
    predictions = list(predict([*find_images(one), *find_images(two)], classifier))
    overlays = Overlays(tmp_path / "looked", Places([one, two]), classifier)
    written = [found.overlay for found in overlays.explain(predictions) if found.overlay]
    assert len(set(written)) == len(list((tmp_path / "looked").rglob("*.png"))) == len(written)
    assert {path.parent.name for path in written} == {"ward1", "ward2"}
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "ward1").symlink_to(other)
    overlays = Overlays(tmp_path / "again", Places([one, two]), classifier)
    assert len([found for found in overlays.explain(predictions) if found.overlay]) * 2 == len(
        written
    )
    assert f"{tmp_path}/again/ward1: it is a link: delete it" in capsys.readouterr().err
    assert not list(other.iterdir())


@pytest.mark.parametrize("inside", [".", "looked", "Uninfected/looked"])
def test_overlays_do_not_go_where_the_next_run_would_take_them_for_cells(
    folder, inside, classifier
):
    with pytest.raises(UsageError, match="--explain: expected a folder outside of "):
        Overlays(folder / inside, Places([folder]), classifier)


def test_one_image_is_explained_in_python(tmp_path):
    from malaria.data.drawn_cells import write_cells

    path = write_cells(tmp_path / "cells", 1, seed=3)[0]
    model = load_classifier()
    explanation = model.explain(path)
    assert explanation.heat_map.shape == model.metadata.pixels.size == (96, 96)
    assert explanation.heat_map.dtype == np.float32
    assert 0 <= explanation.heat_map.min() < explanation.heat_map.max() <= 1
    assert (explanation.overlay.mode, explanation.overlay.size) == ("RGB", (96, 96))
    assert explanation.prediction == load_classifier().classify(path)[0]
    with Image.open(path) as image:
        for source in (str(path), image, np.asarray(image.convert("RGB"))):
            np.testing.assert_array_equal(model.explain(source).heat_map, explanation.heat_map)


def test_what_cannot_be_explained_is_refused(tmp_path, classifier):
    (tmp_path / "broken.png").write_bytes(b"nothing")
    with pytest.raises(UnreadableImageError):
        classifier.explain(tmp_path / "broken.png")
    images = [Image.new("RGB", (9, 7))] * 2
    with pytest.raises(UsageError, match="expected one image; received 2"):
        classifier.explain(images)
    with pytest.raises(UsageError, match="received float32"):
        classifier.explain(np.zeros((9, 7, 3), np.float32))
