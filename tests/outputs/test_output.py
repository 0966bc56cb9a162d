"""Tests of malaria/outputs/output.py, which every output obeys, grid.py and metrics_file.py."""

import json
import os
import pkgutil
from importlib import import_module

import numpy as np
import pytest
from PIL import Image

import malaria.outputs
from malaria.annotations.annotation_records import Content, Record, Rectangle
from malaria.annotations.annotations import Annotations
from malaria.base.errors import UserError
from malaria.inference.predict import Rate
from malaria.inference.prediction import Prediction
from malaria.outputs.field_by_field import FieldByField
from malaria.outputs.field_pictures import CellFiles
from malaria.outputs.field_report import FieldReport, FieldTable
from malaria.outputs.grid import PLOTTED, Grid
from malaria.outputs.html_report import HtmlReport
from malaria.outputs.judged_fields import JudgedFields
from malaria.outputs.metrics_file import MetricsFile
from malaria.outputs.output import Output
from malaria.outputs.qupath_files import QuPathFiles
from malaria.outputs.summary import Summary
from malaria.outputs.table import Rows
from malaria.outputs.writer import Writer
from malaria.pictures.places import Places

LABELS = ("Parasitized", "Uninfected")


@pytest.fixture
def outputs(classifier, labelled, folder, tmp_path):
    place = tmp_path / "made"
    cell = Record("no label.png", folder / "no label.png", Content([Rectangle(0, 0, 7, 9)]))
    annotations = Annotations(tmp_path / "a.csv", [cell])
    annotations.assign([folder / "no label.png"])
    return [
        Rows(LABELS, LABELS[0]),
        Grid(place / "grid.png"),
        MetricsFile(place / "metrics.json", labelled),
        HtmlReport(place / "a.html", classifier, labelled),
        Summary(classifier, Rate()),
        FieldTable(classifier, place / "b.json"),
        CellFiles(place / "cells", Places([]), LABELS),
        FieldReport(classifier, place / "c.json", place / "b.html"),
        JudgedFields(place / "judged.json", classifier, annotations, Places([])),
        QuPathFiles(place / "d.geojson", LABELS),
        Writer(place / "a.csv", source="cells", labels=LABELS, model="1", resume=False),
    ]


def close_all(outputs):
    for output in outputs:
        output.close()


def test_every_kind_of_output_is_tried_here(outputs):
    for module in pkgutil.iter_modules(malaria.outputs.__path__, "malaria.outputs."):
        import_module(module.name)
    bases = (Output, FieldByField, FieldTable)
    known = {kind for base in bases for kind in base.__subclasses__()} - {FieldByField}
    ours = {kind for kind in known if kind.__module__.startswith("malaria.")}
    assert {type(output) for output in outputs} == ours
    close_all(outputs)


def test_every_output_obeys_one_protocol(outputs, predict_all, tmp_path, capsys):
    for prediction in predict_all():
        for output in outputs:
            assert output.add(prediction) is None
    for output in outputs:
        assert output.finish() is None
    close_all(outputs)
    close_all(outputs)  # may be done twice
    names = "grid.png metrics.json a.html a.csv b_fields.json c_fields.json b.html judged.json"
    made = set(names.split())
    assert {path.name for path in (tmp_path / "made").iterdir()} == made
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 10
    assert all(f"saved {tmp_path / 'made' / name}\n" in said.err for name in made)


def test_an_interrupted_run_is_closed_and_leaves_only_what_it_can_go_on_with(
    outputs, predict_all, tmp_path
):
    for prediction in predict_all():
        for output in outputs:
            output.add(prediction)
    close_all(outputs)
    [left] = (path for path in (tmp_path / "made").iterdir() if not path.name.startswith("."))
    assert left.suffix == ".partial"


def test_what_an_output_does_is_its_own_and_closing_is_nothing_for_most():
    output = Output()
    for act in (lambda: output.add(Prediction()), output.finish):
        with pytest.raises(NotImplementedError):
            act()
    assert output.close() is None


def test_the_grid_shows_what_could_be_read(predict_all, feed, tmp_path, capsys):
    grid = Grid(tmp_path / "grid.png")
    feed(grid, predict_all())
    assert len(grid.shown) == 9
    assert all(prediction.error is None for prediction in grid.shown)
    with Image.open(tmp_path / "grid.png") as image:
        image.load()
    assert capsys.readouterr().err == f"saved {tmp_path}/grid.png\n"


def test_of_many_pictures_the_first_are_shown(predict_all, tmp_path):
    grid = Grid(tmp_path / "grid.png")
    readable = [prediction for prediction in predict_all() if prediction.error is None]
    for prediction in readable * PLOTTED:
        grid.add(prediction)
    assert grid.shown == (readable * PLOTTED)[:PLOTTED]


def test_a_picture_that_is_gone_by_then_is_left_out(predict_all, feed, tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr("malaria.outputs.grid.plot_grid", lambda *given: told.append(given))
    first, *others = [prediction for prediction in predict_all() if prediction.error is None]
    first.path.unlink()
    feed(Grid(tmp_path / "grid.png"), [first, *others])
    [(_, images, titles)] = told
    assert titles == [f"{one.label} {one.probability:.3f}" for one in others]
    assert len(images) == len(titles)


def test_of_nothing_and_where_all_images_are_gone_by_then_there_is_no_file(feed, tmp_path):
    for predictions in ([], [Prediction(tmp_path / "gone.png", "a", 1.0)]):
        feed(Grid(tmp_path / "grid.png"), predictions)
        assert list(tmp_path.iterdir()) == []


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


def test_what_is_to_be_told_of_a_whole_run_is_in_the_terminal_on_each_page_and_in_the_metrics(
    outputs, predict_all, tmp_path, capsys
):
    for output in outputs:
        output.notes = ["20 images <b> are\x1b grey"]
        for prediction in predict_all():
            output.add(prediction)
        output.finish()
    close_all(outputs)
    assert "20 images <b> are\\x1b grey\n" in capsys.readouterr().err
    for page in "a.html", "b.html":
        assert "20 images &lt;b&gt; are\\x1b grey" in (tmp_path / "made" / page).read_text("utf-8")
    metrics = json.loads((tmp_path / "made" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["notes"] == ["20 images <b> are\x1b grey"]


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
