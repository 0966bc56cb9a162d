"""Tests of malaria/outputs/output.py: every output obeys its protocol."""

import pkgutil
from importlib import import_module

import pytest

import malaria.outputs
from malaria.inference.predict import Rate
from malaria.inference.prediction import Prediction
from malaria.outputs.field_pictures import CellFiles
from malaria.outputs.field_report import FieldReport, FieldTable
from malaria.outputs.grid import Grid
from malaria.outputs.html_report import HtmlReport
from malaria.outputs.metrics_file import MetricsFile
from malaria.outputs.output import Output
from malaria.outputs.summary import Summary
from malaria.outputs.table import Rows
from malaria.outputs.writer import Writer

LABELS = ("Parasitized", "Uninfected")


@pytest.fixture
def outputs(classifier, labelled, tmp_path):
    """One of each kind, with names for its files below tmp_path/made."""
    place = tmp_path / "made"
    return [
        Rows(LABELS, LABELS[0]),
        Grid(place / "grid.png"),
        MetricsFile(place / "metrics.json", labelled),
        HtmlReport(place / "a.html", classifier, labelled),
        Summary(classifier, Rate()),
        FieldTable(classifier, place / "b.json"),
        CellFiles(place / "cells", [], LABELS),
        FieldReport(classifier, place / "c.json", place / "b.html"),
        Writer(place / "a.csv", source="cells", labels=LABELS, model="1", resume=False),
    ]


def close_all(outputs):
    for output in outputs:
        output.close()


def test_every_kind_of_output_is_tried_here(outputs):
    for module in pkgutil.iter_modules(malaria.outputs.__path__, "malaria.outputs."):
        import_module(module.name)
    known = [*Output.__subclasses__(), *FieldTable.__subclasses__()]
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
    names = "grid.png metrics.json a.html a.csv b_fields.json c_fields.json b.html"
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
