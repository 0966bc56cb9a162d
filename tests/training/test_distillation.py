"""Label mixing: what is learnt from the answers of other models, and which may teach."""

import csv
import json

import numpy as np
import pytest

from malaria.base.errors import UsageError, UserError
from malaria.data.drawn_cells import write_cells
from malaria.inference.load_classifier import load_classifier
from malaria.pictures.images import PixelFormat
from malaria.settings.config import Config
from malaria.settings.config_check import make_config
from malaria.training.distillation import load_teachers
from malaria.training.trainer import train

LABELS = ("Parasitized", "Uninfected")
FAST = {
    "model": "tiny",
    "image_size": (24, 24),
    "epochs": 1,
    "batch_size": 8,
    "augmentation": {},
    "guard": False,
    "plot_training_data": False,
}


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    folder = tmp_path_factory.mktemp("taught") / "cells"
    write_cells(folder, 12, seed=3, patients=4)
    return folder


@pytest.fixture(scope="module")
def teachers(cells):
    """Two models of other seeds."""
    return [
        train(
            Config(
                train_images=str(cells),
                output_models=str(cells.parent / f"teacher{seed}"),
                random_state=seed,
                **FAST,
            )
        ).model
        for seed in (1, 2)
    ]


def test_mixed_labels_are_a_mixture_of_the_label_and_the_mean_answer(teachers):
    paths = [str(path) for path in teachers]
    teach = load_teachers(paths, LABELS, PixelFormat((24, 24)), share=0.6)
    images = np.random.default_rng(1).integers(0, 256, (6, 24, 24, 3)).astype(np.uint8)
    known = np.float32([[0], [1], [0], [1], [1], [0]])
    learnt = np.asarray(teach(images / np.float32(255), known))
    answers = [load_classifier(path).predict(images)[:, 1:] for path in paths]
    expected = 0.4 * known + 0.6 * np.mean(answers, axis=0)
    np.testing.assert_allclose(learnt, expected, atol=1e-3)


def test_a_training_with_teachers_ends_elsewhere_and_keeps_their_names(cells, teachers, tmp_path):
    known = {"train_images": str(cells), "output_models": str(tmp_path), **FAST}
    config = Config(**known, teachers=[str(path) for path in teachers])
    taught = train(config)
    alone = train(Config(**known))
    assert (taught.probabilities != alone.probabilities).any()
    with open(taught.model.with_suffix("") / "history.csv", newline="") as file:
        [row] = csv.DictReader(file)
    assert float(row["accuracy"]) > 0.2
    record = json.loads(taught.model.with_suffix(".json").read_text())["malaria"]["config"]
    assert record["teachers"] == [str(path) for path in teachers]
    assert record["teacher_share"] == 0.7


def test_a_teacher_of_another_size_sees_the_images_at_its_own(teachers):
    [teacher] = teachers[:1]
    teach = load_teachers([str(teacher)], LABELS, PixelFormat((48, 48)), share=1.0)
    # So smooth that however it is made smaller, the image stays the same.
    ramp = np.linspace(0.2, 0.8, 24, dtype=np.float32)
    small = np.stack([ramp[:, None] * ramp] * 3, axis=-1)[None] * [[[[1.0, 0.6, 0.8]]]]
    images = small.repeat(2, axis=1).repeat(2, axis=2).astype(np.float32)
    learnt = np.asarray(teach(images, np.zeros((1, 1), np.float32)))
    expected = load_classifier(teacher).predict((small * 255).round().astype(np.uint8))[:, 1:]
    np.testing.assert_allclose(learnt, expected, atol=0.02)


@pytest.mark.parametrize(
    ("labels", "pixels", "message"),
    [
        (LABELS[::-1], PixelFormat((24, 24)), "expected labels .*Uninfected.*, received"),
        (LABELS, PixelFormat((24, 24), fit="pad"), "expected pixels .*pad.*, received .*stretch"),
    ],
)
def test_a_teacher_of_other_labels_or_pixels_is_refused(teachers, labels, pixels, message):
    with pytest.raises(UserError, match=message):
        load_teachers([str(teachers[0])], labels, pixels, share=0.5)


def test_teachers_are_for_two_labels(cells):
    known = {"train_images": str(cells), "teachers": "a.h5", "model": "compact"}
    with pytest.raises(UsageError, match="teachers: are for two labels; received 3"):
        make_config({**known, "labels": ["a", "b", "c"]})
