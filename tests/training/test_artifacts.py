"""Tests of malaria/outcome.py."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from malaria.data.dataset import Sample
from malaria.data.images import PixelFormat
from malaria.data.pixel_store import Pixels
from malaria.evaluation.metrics import evaluate
from malaria.training.artifacts import (
    describe_evaluation,
    write_augmentation,
    write_curves,
    write_predictions,
    write_tables,
)
from malaria.training.config import Augmentation

NAMES = ["Parasitized", "Uninfected"]
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


def assess(names=NAMES, labels=LABELS, probabilities=PROBABILITIES):
    return evaluate(labels, probabilities, names=names, positive=names[0])


def read_table(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


@pytest.fixture
def pixels():
    stored = np.random.default_rng(1).integers(256, size=(3, 8, 8, 3), dtype=np.uint8)
    return Pixels(SAMPLES, PixelFormat((8, 8)), stored, np.arange(3))


def test_the_figures_stand_in_one_line_before_the_report_and_the_matrix():
    lines = describe_evaluation(assess(), NAMES, 0.5).splitlines()
    assert lines[0].startswith("3 validation images, threshold 0.5000: accuracy 0.6667, loss 0.9")
    assert lines[0].endswith(", sensitivity 0.5000, specificity 1.0000, AUC 0.5000")
    assert [line.split() for line in lines[-3:]] == [
        ["true,", "predicted", "as", "Parasitized", "Uninfected"],
        ["Parasitized", "1", "1"],
        ["Uninfected", "0", "1"],
    ]
    assert len({len(line) for line in lines[-3:]}) == 1


def test_three_labels_are_described_without_sensitivity():
    names = ["a", "b", "a label with a long name"]
    evaluation = assess(names, np.array([0, 1, 2]), np.eye(3))
    text = describe_evaluation(evaluation, names, 0.5)
    assert "sensitivity" not in text
    assert "threshold" not in text
    assert "AUC 1.0000" in text
    assert text.splitlines()[-1].split() == [*names[2].split(), "0", "0", "1"]


def test_the_tables_hold_every_epoch_and_every_image(tmp_path):
    text = describe_evaluation(assess(), NAMES, 0.5)
    known = {"names": NAMES, "labels": LABELS, "probabilities": PROBABILITIES.astype(np.float32)}
    write_tables(tmp_path, history=HISTORY, text=text, samples=SAMPLES, **known)
    assert (tmp_path / "evaluation.txt").read_text(encoding="utf-8") == f"{text}\n"
    assert read_table(tmp_path / "history.csv") == [
        ["epoch", "accuracy", "loss", "val_accuracy", "val_loss"],
        ["1", "0.5", "0.7", "0.6", "0.65"],
        ["2", "0.75", "0.4", "0.7", "0.5"],
    ]
    header, *rows = read_table(tmp_path / "validation.csv")
    assert header[:3] == ["path", "patient", "label"]
    assert header[3:] == ["probability of Parasitized", "probability of Uninfected"]
    assert [row[:3] for row in rows] == [
        ["cells/C1P1_a.png", "1", "Parasitized"],
        ["'=cells/C2P1_b.png", "2", "Parasitized"],
        ["cells/c.png", "", "Uninfected"],
    ]
    received = np.array([row[3:] for row in rows], float)
    np.testing.assert_allclose(received, PROBABILITIES, rtol=0, atol=1e-6)


@pytest.mark.parametrize("names", [NAMES, ["$x^$", "<script>"], ["x" * 200, "寄生"]], ids=ascii)
def test_four_curves_are_drawn_for_labels_of_any_name(tmp_path, names):
    known = {"names": names, "labels": LABELS, "probabilities": PROBABILITIES}
    write_curves(tmp_path, history=HISTORY, evaluation=assess(names), positive=names[0], **known)
    files = ["accuracy.svg", "confusion_matrix.svg", "loss.svg", "roc.svg"]
    assert sorted(path.name for path in tmp_path.iterdir()) == files


def test_augmentation_is_shown_before_and_after(tmp_path, pixels):
    changes = Augmentation(flips=True, rotation=20, brightness=0.2)
    write_augmentation(tmp_path / "a.png", pixels, np.array([0, 2]), changes, seed=3)
    with Image.open(tmp_path / "a.png") as image:
        assert image.format == "PNG"
        image.load()


def test_a_wrong_prediction_is_called_wrong_and_red(tmp_path, pixels):
    known = {"names": NAMES, "labels": LABELS, "probabilities": PROBABILITIES, "seed": 1}
    write_predictions(tmp_path / "a.svg", pixels, np.arange(3), **known)
    drawn = (tmp_path / "a.svg").read_text(encoding="utf-8")
    for title in ("Parasitized 0.750", "wrong: Uninfected 0.900", "Uninfected 0.800"):
        assert f">{title}</text>" in drawn
    assert drawn.count("fill: #ff0000") == 1
