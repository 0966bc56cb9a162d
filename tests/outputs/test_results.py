"""Tests of malaria/results.py, with networks that are plain functions."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from malaria.outputs.results import Explanations, Grid, Report, Rows, Truth, prepare_next_start
from PIL import Image

from malaria.base.errors import UsageError, UserError
from malaria.data.images import PixelFormat
from malaria.inference.classifier import Classifier
from malaria.inference.predict import classify
from malaria.saved.metadata import Metadata
from malaria.saved.pair import Pair

LABELS = ("Parasitized", "Uninfected")


def make_classifier(**changes):
    """P(Uninfected) is the red of the first pixel."""
    metadata = Metadata(LABELS, "Parasitized", PixelFormat((9, 7)))
    pair = Pair(*(Path(f"models/a{suffix}") for suffix in (".h5", ".json", ".tflite")))
    return Classifier(metadata, lambda images: images[:, :1, 0, 0], pair, **changes)


@pytest.fixture
def folder(write_cells):
    """Eight cells of two patients, a picture without a label and a broken one."""
    folder = write_cells()
    Image.new("RGB", (7, 9), (255, 0, 0)).save(folder / "no label.png")
    (folder / "Uninfected" / "broken.png").write_bytes(b"nothing")
    return folder


def predict(folder):
    paths = [folder / "no label.png", *sorted(folder.glob("*/*.png"))]
    return list(classify(paths, make_classifier()))


def feed(result, predictions):
    for prediction in predictions:
        result.add(prediction, "group")
    result.finish()


def test_rows_into_a_pipe_are_separated_by_tabs(folder, capsys):
    predictions = predict(folder)
    feed(Rows(make_classifier()), predictions)
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines] == [str(prediction.path) for prediction in predictions]
    assert {len(line) for line in lines} == {3}


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_rows_on_a_terminal_are_a_table(folder, capsys, monkeypatch, no_color, coloured):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", "xterm")
    feed(Rows(make_classifier()), predict(folder))
    said = capsys.readouterr().out
    assert "\t" not in said
    assert ("\x1b[2munreadable" in said) is coloured
    assert ("\x1b" in said) is coloured


def test_the_grid_shows_what_could_be_read(folder, tmp_path, capsys):
    grid = Grid(tmp_path / "grid.png")
    feed(grid, predict(folder))
    assert len(grid.shown) == 9
    with Image.open(tmp_path / "grid.png") as image:
        image.load()
    assert capsys.readouterr().err == f"saved {tmp_path}/grid.png\n"


def test_a_grid_of_nothing_is_no_file(tmp_path):
    feed(Grid(tmp_path / "grid.png"), [])
    assert list(tmp_path.iterdir()) == []


def test_the_folders_are_the_true_labels_and_patients_the_groups(folder, tmp_path, capsys):
    truth = Truth(make_classifier(), folder, tmp_path / "m" / "metrics.json", group_by="patient")
    predictions = predict(folder)
    feed(truth, predictions)
    metrics = json.loads((tmp_path / "m" / "metrics.json").read_text(encoding="utf-8"))
    assert (metrics["images"], metrics["left_out"], metrics["model"]) == (8, 2, "a")
    assert metrics["images_by_label"] == {"Parasitized": 4, "Uninfected": 4}
    assert (metrics["intervals"]["resampled"], metrics["intervals"]["count"]) == ("patients", 2)
    right = [prediction.path.parent.name == prediction.label for prediction in predictions]
    assert metrics["figures"]["accuracy"]["value"] == sum(right) / 8
    assert "confusion matrix, row = true label, column = predicted label" in capsys.readouterr().err
    assert truth.label_of(folder / "no label.png") is None
    assert truth.label_of(folder / "Uninfected" / "deeper" / "a.png") == "Uninfected"


def test_grouped_by_folder_patients_are_resampled_all_the_same(folder, tmp_path):
    truth = Truth(make_classifier(), folder, tmp_path / "metrics.json", group_by="folder")
    feed(truth, predict(folder))
    assert truth.assessment.groups == ["1", "1", "2", "2"] * 2


def test_without_a_labelled_picture_there_is_nothing_to_evaluate(folder, tmp_path):
    truth = Truth(make_classifier(), folder, tmp_path / "metrics.json", group_by="patient")
    with pytest.raises(UserError, match="--evaluate: no readable picture with a label in "):
        feed(truth, predict(folder)[:1])
    assert not (tmp_path / "metrics.json").exists()


def test_a_single_picture_has_no_true_label(folder, tmp_path):
    picture = folder / "no label.png"
    with pytest.raises(UserError) as caught:
        Truth(make_classifier(), picture, tmp_path / "metrics.json", group_by="patient")
    assert str(caught.value).startswith("--evaluate: expected ")
    assert str(picture) in str(caught.value)


@pytest.mark.parametrize("evaluated", [False, True])
def test_the_report_has_every_picture(folder, tmp_path, evaluated):
    truth = None
    if evaluated:
        truth = Truth(make_classifier(), folder, tmp_path / "metrics.json", group_by="patient")
    report = Report(tmp_path / "a.html", make_classifier(), truth, None)
    for prediction in predict(folder):
        if truth:
            truth.add(prediction, "group")
        report.add(prediction, "group")
    report.finish()
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert page.count("no label.png") >= 1
    assert page.count("broken.png") >= 1
    assert ("sensitivity" in page) is evaluated


def test_what_was_looked_at_is_written_for_each_readable_picture(folder, tmp_path):
    from malaria.networks.backend import keras

    keras.utils.set_random_seed(1)
    layers = [keras.layers.Conv2D(3, 3, activation="relu"), keras.layers.Flatten()]
    network = keras.Sequential(
        [keras.Input((9, 7, 3)), *layers, keras.layers.Dense(1, activation="sigmoid")]
    )

    class WithKeras(Classifier):
        def load_keras(self):
            return network

    plain = make_classifier()
    explanations = Explanations(
        tmp_path / "looked", folder, WithKeras(plain.metadata, plain.network)
    )
    predictions = predict(folder)
    assert list(explanations.explain(predictions)) == predictions
    written = sorted(tmp_path.glob("looked/**/*.png"))
    assert len(written) == 9
    for prediction in predictions:
        overlay = explanations.made(prediction.path)
        assert (overlay is None) is (prediction.error is not None)
        assert overlay is None or overlay.startswith(b"\xff\xd8")


@pytest.mark.parametrize("inside", [".", "looked", "Uninfected/looked"])
def test_overlays_do_not_go_where_the_next_run_would_take_them_for_cells(folder, inside):
    with pytest.raises(UsageError, match="--explain: expected a folder outside of "):
        Explanations(folder / inside, folder, make_classifier())


def test_a_next_start_that_cannot_be_made_quicker_is_no_failure(capsys):
    def fail():
        raise UserError("cannot write /a\x1b: Read-only file system")

    prepare_next_start(make_classifier())
    assert capsys.readouterr().err == ""
    prepare_next_start(make_classifier(afterwards=fail))
    said = capsys.readouterr().err
    assert said == (
        "the next start will not be quicker: cannot write /a\\x1b: Read-only file system\n"
    )
    prepare_next_start(make_classifier(afterwards=lambda: Path("models/a.tflite")))
    assert capsys.readouterr().err.startswith("saved models/a.tflite, ")


def test_undecodable_names_reach_every_result(folder, tmp_path):
    path = folder / "Uninfected" / os.fsdecode(b"\xff.png")
    Image.fromarray(np.zeros((9, 7, 3), np.uint8)).save(path)
    truth = Truth(make_classifier(), folder, tmp_path / "metrics.json", group_by="patient")
    report = Report(tmp_path / "a.html", make_classifier(), truth, None)
    for prediction in predict(folder):
        truth.add(prediction, None)
        report.add(prediction, None)
    truth.finish()
    report.finish()
    assert "\\udcff.png" in (tmp_path / "a.html").read_text(encoding="utf-8")
    worst = json.loads((tmp_path / "metrics.json").read_bytes())["worst_mistakes"]
    assert str(path) in [mistake["path"] for mistake in worst]
