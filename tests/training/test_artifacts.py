"""Tests of malaria/training/artifacts.py."""

from pathlib import Path

import numpy as np
import pytest
from learning import rows_of
from PIL import Image

from malaria.data.dataset import Sample
from malaria.data.labelled_images import LabelledImages
from malaria.data.pixel_store import Pixels
from malaria.evaluation.format import describe
from malaria.evaluation.result import Result
from malaria.pictures.images import PixelFormat
from malaria.settings.config import Augmentation
from malaria.training.artifacts import _plot_predictions, write_plots, write_tables

NAMES = ("Parasitized", "Uninfected")
LABELS = np.array([0, 0, 1])
PROBABILITIES = np.array([[0.75, 0.25], [0.1, 0.9], [0.2, 0.8]])
HISTORY = [
    {"epoch": 1, "accuracy": 0.5, "loss": 0.7, "val_accuracy": 0.6, "val_loss": 0.65},
    {"epoch": 2, "accuracy": 0.75, "loss": 0.4, "val_accuracy": 0.7, "val_loss": 0.5},
]
SAMPLES = [
    Sample(Path("cells/C1P1_a.png"), 0, "1"),
    Sample(Path("=cells/C2P1_b.png"), 0, "2"),
    Sample(Path("cells/c.png"), 1, None),
]
AMOUNTS = Augmentation(flips=True, rotation=20, brightness=0.2).model_dump()


def make_result(names=NAMES):
    return Result(
        paths=[str(sample.path) for sample in SAMPLES],
        labels=LABELS,
        probabilities=PROBABILITIES,
        label_names=names,
        positive_label=names[0],
        threshold=0.5,
        groups=[sample.patient for sample in SAMPLES],
        resamples=20,
    )


@pytest.fixture
def images():
    """Three images; the first and the last on the training side, all on the validation side."""
    stored = np.random.default_rng(1).integers(256, size=(3, 8, 8, 3), dtype=np.uint8)
    pixels = Pixels(SAMPLES, PixelFormat((8, 8)), stored, np.arange(3))
    return LabelledImages(pixels, training=np.array([0, 2]), validation=np.arange(3))


def test_the_tables_hold_every_epoch_and_every_image(tmp_path):
    result = make_result()
    write_tables(tmp_path, result, HISTORY)
    assert (tmp_path / "evaluation.txt").read_text(encoding="utf-8") == f"{describe(result)}\n"
    history = rows_of(tmp_path / "history.csv")
    assert history == [{name: str(value) for name, value in row.items()} for row in HISTORY]
    rows = rows_of(tmp_path / "validation.csv")
    probabilities = ["probability of Parasitized", "probability of Uninfected"]
    assert list(rows[0]) == ["path", "patient", "label", *probabilities]
    assert [tuple(row.values())[:3] for row in rows] == [
        ("cells/C1P1_a.png", "1", "Parasitized"),
        ("'=cells/C2P1_b.png", "2", "Parasitized"),
        ("cells/c.png", "", "Uninfected"),
    ]
    received = np.array([[row[name] for name in probabilities] for row in rows], float)
    np.testing.assert_allclose(received, PROBABILITIES, rtol=0, atol=1e-6)


@pytest.mark.parametrize("names", [NAMES, ("$x^$", "<script>"), ("x" * 200, "寄生")], ids=ascii)
def test_six_pictures_are_drawn_for_labels_of_any_name(tmp_path, images, names):
    write_plots(tmp_path, make_result(names), HISTORY, images, augmentation=AMOUNTS, seed=1)
    drawings = {"accuracy.svg", "confusion_matrix.svg", "loss.svg", "roc.svg"}
    grids = {"augmentation.png", "predictions.png"}
    assert {path.name for path in tmp_path.iterdir()} == drawings | grids
    for name in grids:
        with Image.open(tmp_path / name) as image:
            assert image.format == "PNG"
            image.load()


def test_a_wrong_prediction_is_called_wrong_and_red(tmp_path, images):
    _plot_predictions(tmp_path / "a.svg", images, make_result(), seed=1)
    drawn = (tmp_path / "a.svg").read_text(encoding="utf-8")
    for title in ("Parasitized 0.750", "wrong: Uninfected 0.900", "Uninfected 0.800"):
        assert f">{title}</text>" in drawn
    assert drawn.count("fill: #ff0000") == 1
