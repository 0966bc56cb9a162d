"""Tests of malaria/outputs/metrics_file.py, grid.py and html_report.py as outputs of a run."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from malaria.base.errors import UserError
from malaria.data.dataset import make_grouper
from malaria.data.images import PixelFormat
from malaria.inference.classifier import Classifier
from malaria.inference.evaluate import LabelledPredictions
from malaria.inference.predict import Rate, annotate, predict
from malaria.outputs.grid import Grid
from malaria.outputs.html_report import HtmlReport
from malaria.outputs.metrics_file import MetricsFile
from malaria.outputs.output import Output
from malaria.outputs.summary import Summary
from malaria.outputs.table import Rows
from malaria.outputs.writer import Writer
from malaria.saved.metadata import Metadata
from malaria.saved.pair import Pair

LABELS = ("Parasitized", "Uninfected")
PATIENT_OF = make_grouper("patient")


def make_classifier(**changes):
    """P(Uninfected) is the red of the first pixel."""
    metadata = Metadata(LABELS, "Parasitized", PixelFormat((9, 7)))
    return Classifier(
        metadata, lambda images: images[:, :1, 0, 0], Pair.at("models", "a"), **changes
    )


@pytest.fixture
def folder(write_cells):
    """Eight cells of two patients, a picture without a label and a broken one."""
    folder = write_cells()
    Image.new("RGB", (7, 9), (255, 0, 0)).save(folder / "no label.png")
    (folder / "Uninfected" / "broken.png").write_bytes(b"nothing")
    return folder


def collect(folder):
    return LabelledPredictions.of_folder(make_classifier(), folder, group_of=PATIENT_OF)


def predictions_of(folder):
    paths = [folder / "no label.png", *sorted(folder.glob("*/*.png"))]
    label_of = collect(folder).label_of
    found = predict(paths, make_classifier())
    return list(annotate(found, group_of=PATIENT_OF, label_of=label_of))


def feed(output, predictions):
    for prediction in predictions:
        output.add(prediction)
    output.finish()
    output.close()


def every_output(folder, place):
    classifier = make_classifier()
    labelled = collect(folder)
    return [
        Rows(LABELS, LABELS[0]),
        Grid(place / "grid.png"),
        MetricsFile(place / "metrics.json", labelled),
        HtmlReport(place / "a.html", classifier, labelled),
        Summary(classifier, Rate()),
        Writer(place / "a.csv", source="cells", labels=LABELS, model="1", resume=False),
    ]


def test_every_output_obeys_one_protocol(folder, tmp_path, capsys):
    outputs = every_output(folder, tmp_path)
    assert {type(output) for output in outputs} == set(Output.__subclasses__())
    for prediction in predictions_of(folder):
        for output in outputs:
            output.add(prediction)
    for output in outputs:
        output.finish()
    for output in outputs:
        output.close()
    made = {"grid.png", "metrics.json", "a.html", "a.csv"}
    assert made <= {path.name for path in tmp_path.iterdir()}
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 10
    assert all(f"saved {tmp_path / name}\n" in said.err for name in made)


def test_the_grid_shows_what_could_be_read(folder, tmp_path):
    grid = Grid(tmp_path / "grid.png")
    feed(grid, predictions_of(folder))
    assert len(grid.shown) == 9
    with Image.open(tmp_path / "grid.png") as image:
        image.load()


def test_a_grid_of_nothing_is_no_file(tmp_path):
    feed(Grid(tmp_path / "grid.png"), [])
    assert list(tmp_path.iterdir()) == []


def test_the_folders_are_the_true_labels_and_patients_the_groups(folder, tmp_path, capsys):
    predictions = predictions_of(folder)
    feed(MetricsFile(tmp_path / "m" / "metrics.json", collect(folder)), predictions)
    metrics = json.loads((tmp_path / "m" / "metrics.json").read_text(encoding="utf-8"))
    assert (metrics["images"], metrics["left_out"], metrics["model"]) == (8, 2, "a")
    assert metrics["images_by_label"] == {"Parasitized": 4, "Uninfected": 4}
    assert (metrics["intervals"]["resampled"], metrics["intervals"]["count"]) == ("patients", 2)
    right = [prediction.path.parent.name == prediction.label for prediction in predictions]
    assert metrics["metrics"]["accuracy"]["value"] == sum(right) / 8
    assert metrics["figures"] == metrics["metrics"]
    assert "confusion matrix, row = true label, column = predicted label" in capsys.readouterr().err


def test_a_picture_has_the_label_of_the_outermost_folder(folder):
    labelled = collect(folder)
    assert labelled.label_of(folder / "no label.png") is None
    assert labelled.label_of(folder / "Uninfected" / "deeper" / "a.png") == "Uninfected"


def test_without_a_labelled_picture_there_is_nothing_to_evaluate(folder, tmp_path):
    output = MetricsFile(tmp_path / "metrics.json", collect(folder))
    with pytest.raises(UserError, match="--evaluate: none of the pictures could be read and has"):
        feed(output, predictions_of(folder)[:1])
    assert not (tmp_path / "metrics.json").exists()


def test_a_single_picture_has_no_true_label(folder):
    with pytest.raises(UserError, match="--evaluate: expected a folder"):
        collect(folder / "no label.png")


@pytest.mark.parametrize("evaluated", [False, True])
def test_the_report_has_every_picture(folder, tmp_path, evaluated):
    labelled = collect(folder) if evaluated else None
    report = HtmlReport(tmp_path / "a.html", make_classifier(), labelled)
    for prediction in predictions_of(folder):
        if labelled:
            labelled.add(prediction)
        report.add(prediction)
    report.finish()
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert page.count("no label.png") >= 1
    assert page.count("broken.png") >= 1
    assert ("sensitivity" in page) is evaluated


def test_undecodable_names_reach_every_output(folder, tmp_path):
    path = folder / "Uninfected" / os.fsdecode(b"\xff.png")
    Image.fromarray(np.zeros((9, 7, 3), np.uint8)).save(path)
    labelled = collect(folder)
    report = HtmlReport(tmp_path / "a.html", make_classifier(), labelled)
    metrics = MetricsFile(tmp_path / "metrics.json", labelled)
    for prediction in predictions_of(folder):
        metrics.add(prediction)
        report.add(prediction)
    metrics.finish()
    report.finish()
    assert "\\udcff.png" in (tmp_path / "a.html").read_text(encoding="utf-8")
    worst = json.loads((tmp_path / "metrics.json").read_bytes())["worst_mistakes"]
    assert str(path) in [mistake["path"] for mistake in worst]
