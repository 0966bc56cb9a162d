"""A training run: what it leaves, what it says of itself, and that it learns."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from learning import details_of, model_of, rows_of, settings

from malaria.base.errors import UsageError
from malaria.base.files import sha256_of
from malaria.base.machine import has_bfloat16
from malaria.data.drawn_cells import write_cells
from malaria.evaluation.format import describe
from malaria.evaluation.known_accuracy import settings_of
from malaria.networks.backend import keras
from malaria.saved.metadata import read_metadata
from malaria.saved.pair import find_pair, read_architecture
from malaria.training.assembly import load_images, split
from malaria.training.trainer import train


def folder_of(result):
    """The folder of metrics, tables and plots beside the saved pair."""
    return result.model.with_suffix("")


def metadata_of(result):
    pair = find_pair(result.model)
    return read_metadata(pair, read_architecture(pair))


def answers_to_validation(config, model):
    """(the probabilities of the second label, the labels) of the unchanged validation images."""
    data = split(config, load_images(config))
    images = data.pixels.read(data.validation).astype(np.float32) / 255
    return model.predict(images, verbose=0)[:, 0], data.labels[data.validation]


@pytest.fixture(scope="module")
def finished(cells, tmp_path_factory):
    """One whole run, with everything that can be asked of it."""
    everything = {"plot_training_data": True, "tensorboard": True, "guard": True, "model": "vgg"}
    everything |= {"image_size": (48, 48), "epochs": 2, "cache": "disk"}
    config = settings(cells, tmp_path_factory.mktemp("finished"), **everything)
    return config, train(config)


@pytest.fixture
def result(finished):
    return finished[1]


def test_the_pair_is_named_after_time_accuracy_and_loss(result):
    name = result.model.stem
    assert re.fullmatch(r"model_\d{8}T\d{6}\.\d{3}Z_0\.\d{4}_\d\.\d{4}", name)
    assert name.endswith(f"_{result.values['accuracy']:.4f}_{result.values['cross_entropy']:.4f}")
    assert folder_of(result).name == name


def test_the_figures_are_those_of_the_saved_weights_on_unchanged_images(finished):
    config, result = finished
    second, labels = answers_to_validation(config, model_of(result.model))
    assert np.mean((second > 0.5) == labels) == pytest.approx(result.values["accuracy"])
    truth = np.where(labels == 1, second, 1 - second)
    assert -np.log(truth).mean() == pytest.approx(result.values["cross_entropy"], abs=1e-4)


@pytest.mark.skipif(not has_bfloat16(), reason="this processor has no units for bfloat16")
def test_what_was_trained_in_bfloat16_is_judged_and_saved_in_float32(cells, tmp_path):
    config = settings(cells, tmp_path, mixed_precision=True)
    result = train(config)
    second, _ = answers_to_validation(config, model_of(result.model))
    rows = rows_of(folder_of(result) / "validation.csv")
    told = [float(row["probability of Uninfected"]) for row in rows]
    np.testing.assert_allclose(second, told, atol=1e-5)
    layers = json.loads(result.model.with_suffix(".json").read_text())["config"]["layers"]
    assert "bfloat16" not in json.dumps(layers)


def test_the_metadata_says_all_that_classifying_needs(finished):
    config, result = finished
    metadata = metadata_of(result)
    assert metadata.labels == config.labels
    assert metadata.positive_label == "Parasitized"
    assert metadata.pixels.size == (48, 48)
    assert (metadata.pixels.colour, metadata.pixels.resampling) == ("RGB", "bilinear")
    # Drawn cells have colours, and the model knows that it learnt them.
    assert metadata.grey_share == 0
    details = metadata.details
    assert details["weights_sha256"] == sha256_of(result.model)
    assert details["config"]["random_state"] == 42
    assert details["split"]["by"] == "patient"
    assert details["validation"]["count"] == len(result.labels)
    # What a corrected parasitaemia needs.
    assert details["validation"]["confusion"] == result.confusion
    assert details["validation"]["measured_at"] == settings_of(metadata)["measured_at"]
    assert min(details["validation"]["design_effects"].values()) >= 1
    assert 0 <= details["validation"]["strange"] <= 1
    assert set(details["versions"]) >= {"tensorflow", "keras", "numpy", "python"}


def test_keras_itself_reads_the_architecture(result):
    model = keras.models.model_from_json(result.model.with_suffix(".json").read_text())
    model.load_weights(result.model)
    assert model.input_shape == (None, 48, 48, 3)


def test_no_patient_is_on_both_sides(result):
    shown = {row["patient"] for row in rows_of(folder_of(result) / "validation.csv")}
    assert shown == set(details_of(result.model)["split"]["validation_patients"])
    # A share of .3 of six patients is two.
    assert len(shown) == 2


def test_every_picture_and_table_is_there_and_nothing_of_the_resume_state(finished):
    config, result = finished
    assert sorted(path.name for path in folder_of(result).iterdir()) == [
        *("accuracy.svg", "augmentation.png", "confusion_matrix.svg", "evaluation.txt"),
        *("history.csv", "loss.svg", "predictions.png", "roc.svg", "validation.csv"),
    ]
    history = rows_of(folder_of(result) / "history.csv")
    assert [row["epoch"] for row in history] == ["1", "2"]
    assert float(history[0]["val_loss"]) > 0
    text = (folder_of(result) / "evaluation.txt").read_text(encoding="utf-8")
    assert text == describe(result) + "\n"
    assert "of 2 patients" in text
    models = Path(config.output_models)
    assert not (models / "resume").exists()
    assert len(list(models.glob("tensorboard/*/events.out.*"))) == 1
    assert not list(models.rglob("*.partial"))


def test_three_labels_end_in_a_softmax_and_are_evaluated(tmp_path):
    labels = ("Parasitized", "Uninfected", "Other")
    write_cells(tmp_path / "cells", 12, patients=4, labels=labels)
    result = train(settings(tmp_path / "cells", tmp_path, labels=labels))
    assert np.shape(result.confusion) == (3, 3)
    assert result.values["sensitivity"] is None
    assert metadata_of(result).labels == labels


def test_a_dict_trains_outside_of_the_main_thread_and_without_plots_and_a_wrong_one_is_refused(
    cells, tmp_path
):
    known = settings(cells, tmp_path).model_dump()
    with ThreadPoolExecutor(1) as threads:
        result = threads.submit(train, known).result()
    assert result.model.is_file()
    assert {path.suffix for path in folder_of(result).iterdir()} == {".csv", ".txt"}
    with pytest.raises(UsageError, match="settings: epochs: expected greater than or equal to 1"):
        train(known | {"epochs": 0})
    with pytest.raises(UsageError, match="settings: train_images: no folder"):
        train(known | {"train_images": str(tmp_path / "none")})
