"""Tests of malaria/cli/compare.py."""

import json

import pytest
from PIL import Image

from malaria.base.errors import UserError
from malaria.cli.run import main
from malaria.networks.backend import keras
from malaria.networks.save import save_pair


def save(folder, name, labels=("Parasitized", "Uninfected"), seed=0):
    keras.utils.set_random_seed(seed)
    layers = [keras.Input((9, 7, 3)), keras.layers.Flatten()]
    model = keras.Sequential([*layers, keras.layers.Dense(1, activation="sigmoid")])
    entries = {"labels": list(labels), "positive_label": labels[0], "threshold": 0.5}
    entries["pixels"] = {"colour": "RGB", "resampling": "bilinear", "scale": 1 / 255}
    entries |= {"image_size": [9, 7], "grey_share": 0.0}
    return str(save_pair(model, folder, name, entries).weights)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Three pairs, of which the third has its labels the other way round."""
    folder = tmp_path_factory.mktemp("models")
    turned = ("Uninfected", "Parasitized")
    return [save(folder, "first"), save(folder, "second", seed=1), save(folder, "x", turned)]


def compare(models, folder, tmp_path, *more):
    metrics = f"--metrics={tmp_path}/metrics.json"
    return main(["--model", *models, f"--image={folder}", "--evaluate", metrics, *more])


def test_models_stand_side_by_side_with_their_differences(models, write_cells, tmp_path, capsys):
    assert compare(models[:2], write_cells(count=5), tmp_path) == 0
    said = capsys.readouterr()
    head, *rows = said.out.splitlines()
    assert head.split() == ["metric", "first", "second"]
    assert {"accuracy", "sensitivity", "AUC", "images"} <= {row.split()[0] for row in rows if row}
    assert "second minus first, on the same resamples" in rows
    assert "McNemar's exact p = " in rows[-1]
    assert "classifying with first\nclassifying with second\n" in said.err
    metrics = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert list(metrics) == ["first", "second"]
    assert [one["images"] for one in metrics.values()] == [20, 20]
    assert metrics["first"]["metrics"] != metrics["second"]["metrics"]


def test_a_model_does_not_differ_from_itself_under_another_name(write_cells, tmp_path, capsys):
    twins = [save(tmp_path, name) for name in ("one", "two")]
    compare(twins, write_cells(), tmp_path)
    said = capsys.readouterr().out
    assert "McNemar's exact p = 1," in said
    assert "+0.0000" in said


def test_the_threshold_asked_for_holds_for_every_model(models, write_cells, tmp_path):
    compare(models[:2], write_cells(), tmp_path, "--threshold=0")
    for one in json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8")).values():
        assert one["threshold"] == 0
        assert one["metrics"]["sensitivity"]["value"] == 1


def test_a_picture_that_cannot_be_read_makes_the_status_1(models, write_cells, tmp_path):
    folder = write_cells()
    (folder / "Uninfected" / "broken.png").write_bytes(b"nothing")
    assert compare(models[:2], folder, tmp_path) == 1


def test_a_model_named_twice_is_refused_before_anything_is_classified(
    models, write_cells, tmp_path, capsys
):
    with pytest.raises(UserError, match="--model: first is named twice"):
        compare([models[0], models[1], models[0]], write_cells(), tmp_path)
    assert capsys.readouterr().err == ""


def test_of_each_model_it_is_told_what_is_odd_about_the_images_and_what_was_assumed(
    models, write_cells, tmp_path, capsys, monkeypatch
):
    known = lambda model, predictions: [f"{len(predictions)} of {model.name}"]  # noqa: E731
    monkeypatch.setattr("malaria.inference.suggest.suggest", known)
    folder = write_cells()
    first = sorted((folder / "Parasitized").iterdir())[0]
    (folder / "Uninfected" / "copy.png").write_bytes(first.read_bytes())
    Image.new("L", (9, 9)).save(folder / "Uninfected" / "grey.png")
    compare(models[:2], folder, tmp_path)
    told = capsys.readouterr().err
    for line in ("2 files hold images that lie under", "1 of 10 images are grey, and"):
        assert told.count(line) == told.count(f"\nfirst: {line}") + told.count(f"\nsecond: {line}")
        assert told.count(line) == 2
    assert "\nfirst: 10 of first\n" in told
    metrics = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    first, second = metrics["first"]["notes"]
    assert first.startswith("2 files hold images")
    assert second.startswith("1 of 10 images are grey")
    assert metrics["first"]["unlike_by_label"] == {"Parasitized": 0, "Uninfected": 0}


def test_models_of_unlike_labels_cannot_be_compared(models, write_cells, tmp_path):
    with pytest.raises(UserError, match="x cannot be compared with first: expected the same "):
        compare([models[0], models[2]], write_cells(), tmp_path)
    assert not (tmp_path / "metrics.json").exists()
