"""Training on the cells of several laboratories, and of labels that are rare."""

import shutil

import pytest
from learning import details_of, rows_of, settings

from malaria.base.errors import UserError
from malaria.data.dataset import LABELS
from malaria.data.drawn_cells import write_cells
from malaria.evaluation.format import describe
from malaria.training.assembly import load_images, split
from malaria.training.cross_validation import cross_validate
from malaria.training.trainer import train

NAMES = ("chittagong", "lausanne", "bangkok")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two laboratories with both labels, and one with uninfected cells only."""
    place = tmp_path_factory.mktemp("laboratories")
    for seed, name in enumerate(NAMES):
        write_cells(place / name, 12, seed=seed, patients=4)
    shutil.rmtree(place / "bangkok" / LABELS[0])
    return [str(place / name) for name in NAMES]


@pytest.fixture(scope="module")
def result(folders, tmp_path_factory):
    known = {"balance": "source", "test_size": 0.5, "batch_size": 16}
    return train(settings(folders, tmp_path_factory.mktemp("run"), **known))


def test_each_source_is_divided_and_no_patient_is_on_both_sides(folders, tmp_path):
    config = settings(folders, tmp_path, test_size=0.25)
    images = split(config, load_images(config))
    sides = [images.chosen(side) for side in (images.training, images.validation)]
    patients = [{sample.patient for sample in side} for side in sides]
    assert patients[0] | patients[1] == {f"{name}:{n}" for name in NAMES for n in range(1, 5)}
    assert not patients[0] & patients[1]
    assert {sample.source for sample in sides[1]} == set(NAMES)


def test_the_metrics_of_each_source_are_told_and_saved(result):
    assert set(result.by_source) == set(NAMES)
    folder = result.model.with_suffix("")
    assert (folder / "evaluation.txt").read_text().strip() == describe(result)
    lines = describe(result).splitlines()
    [head] = [line for line in lines if line.startswith("source ")]
    metrics = ["accuracy", "sensitivity", "specificity", "AUC"]
    assert head.split() == ["source", *LABELS, *metrics]
    [bangkok] = [line.split() for line in lines if line.startswith("bangkok ")]
    assert bangkok[1] == "0"
    assert bangkok[4] == bangkok[6] == "-"


def test_what_each_source_gave_is_kept_with_the_model(result):
    kept = details_of(result.model)
    sources = kept["split"]["sources"]
    counts = [sources[side]["bangkok"]["Uninfected"] for side in ("training", "validation")]
    assert sum(counts) == 12
    assert kept["config"]["train_images"][0]["name"] is None
    assert all(":" in patient for patient in kept["split"]["validation_patients"])
    rows = rows_of(result.model.with_suffix("") / "validation.csv")
    patients = {row["patient"] for row in rows}
    assert all(patient.split(":")[0] in result.by_source for patient in patients)


@pytest.fixture(scope="module")
def found(folders, tmp_path_factory):
    """What is found when each laboratory is once left out."""
    return cross_validate(settings(folders, tmp_path_factory.mktemp("folds")), "source")


def test_each_laboratory_is_once_left_out_and_judged(folders, found, tmp_path):
    rows = {row["fold"]: row for row in rows_of(found.folder / "folds.csv")}
    assert list(rows) == [*NAMES, "mean", "deviation"]
    assert rows["bangkok"]["sensitivity"] == rows["bangkok"]["auc"] == ""
    assert rows["lausanne"]["auc"] != ""
    for number, name in enumerate(NAMES, start=1):
        sources = details_of(found.folder / f"fold{number}.h5")["split"]["sources"]
        assert set(sources["validation"]) == {name}
        assert name not in sources["training"]
    assert "chittagong" in found.text
    with pytest.raises(UserError, match="--folds=source: expected train_images to be a list"):
        cross_validate(settings(folders[0], tmp_path), "source")


def test_suspected_labels_of_several_folders_can_be_excluded(folders, found, tmp_path):
    listing = found.folder / "label_errors.csv"
    listed = len(rows_of(listing))
    assert listed > 0
    again = settings(folders, tmp_path, exclude=str(listing))
    assert len(load_images(again).excluded) == listed
