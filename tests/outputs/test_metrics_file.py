"""Tests of malaria/outputs/metrics_file.py."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from malaria.base.errors import UserError
from malaria.outputs.metrics_file import MetricsFile


def test_the_folders_are_the_true_labels_and_patients_the_groups(
    labelled, predict_all, feed, tmp_path, capsys
):
    predictions = predict_all()
    feed(MetricsFile(tmp_path / "m" / "metrics.json", labelled), predictions)
    metrics = json.loads((tmp_path / "m" / "metrics.json").read_text(encoding="utf-8"))
    assert (metrics["images"], metrics["left_out"], metrics["model"]) == (8, 2, "a")
    assert metrics["images_by_label"] == {"Parasitized": 4, "Uninfected": 4}
    assert (metrics["intervals"]["resampled"], metrics["intervals"]["count"]) == ("patients", 2)
    right = [prediction.path.parent.name == prediction.label for prediction in predictions]
    assert metrics["metrics"]["accuracy"]["value"] == sum(right) / 8
    assert metrics["figures"] == metrics["metrics"]
    assert "confusion matrix, row = true label, column = predicted label" in capsys.readouterr().err


def test_without_a_labelled_picture_there_is_nothing_to_evaluate(
    labelled, predict_all, feed, tmp_path
):
    output = MetricsFile(tmp_path / "metrics.json", labelled)
    with pytest.raises(UserError, match="none of the images could be read and has"):
        feed(output, predict_all()[:1])
    assert not (tmp_path / "metrics.json").exists()


def test_an_undecodable_name_reaches_the_file(folder, labelled, predict_all, feed, tmp_path):
    path = folder / "Uninfected" / os.fsdecode(b"\xff.png")
    Image.fromarray(np.zeros((9, 7, 3), np.uint8)).save(path)
    feed(MetricsFile(tmp_path / "metrics.json", labelled), predict_all())
    worst = json.loads((tmp_path / "metrics.json").read_bytes())["worst_mistakes"]
    assert str(path) in [mistake["path"] for mistake in worst]
