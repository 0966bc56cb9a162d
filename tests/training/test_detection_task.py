"""Training a detector: from annotated and composed fields to a pair that finds cells in a field."""

import json
import re
from dataclasses import astuple

import numpy as np
import pytest
from learning import details_of, rows_of

from malaria.base.errors import UsageError, UserError
from malaria.cli.train import main as train_command
from malaria.data.drawing import draw_stain
from malaria.data.drawn_cells import draw_field, write_cells
from malaria.fields.field_detector import load_detector
from malaria.inference.load_classifier import load_classifier
from malaria.pictures.images import open_image
from malaria.saved.pair import default_pair
from malaria.settings.config_check import make_config
from malaria.training import detection_task
from malaria.training.devices import choose_device
from malaria.training.dry_run import dry_run
from malaria.training.trainer import train


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A folder with annotated drawn fields of two laboratories, and drawn cells."""
    folder = tmp_path_factory.mktemp("places")
    write_cells(folder / "cells", 12, seed=1)
    for laboratory in ("one", "two"):
        (folder / laboratory).mkdir()
        rng, listed = np.random.default_rng(len(laboratory)), []
        for number in range(6):
            field, boxes = draw_field(rng, draw_stain(rng), rows=3, columns=4, square=40)
            field.save(folder / laboratory / f"{number}.png")
            known = (dict(zip("xywh", astuple(box), strict=True)) for box in boxes)
            objects = [{"label": "rbc", **box} for box in known]
            listed.append({"image": f"{number}.png", "objects": objects})
        (folder / laboratory / "annotations.json").write_text(json.dumps(listed))
    return folder


def settings(places, folder, **changes):
    known = {
        "model": "detector",
        "train_images": [
            {"folder": str(places / name / "annotations.json"), "name": name}
            for name in ("one", "two")
        ],
        "composed_of": str(places / "cells"),
        "patient_pattern": r"^(.+)\.\w+$",
        "image_size": (64, 64),
        "epochs": 2,
        "batch_size": 2,
        "steps_per_epoch": 3,
        "validation_steps": 2,
        "output_models": str(folder / "models"),
        "plot_training_data": False,
    }
    return make_config(known | changes)


@pytest.fixture(scope="module")
def trained(places, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    return train(settings(places, folder))


def test_a_detector_is_saved_as_a_pair_with_its_record(trained):
    details = details_of(trained.model)
    assert details["task"] == "detection"
    assert details["kinds"] == ["red blood cell", "leukocyte", "platelet"]
    assert details["split"]["training_fields"] + details["split"]["validation_fields"] == 12
    assert details["validation"] == {"recall": trained.recall, "precision": trained.precision}
    folder = trained.model.with_suffix("")
    assert [row["epoch"] for row in rows_of(folder / "history.csv")] == ["1", "2"]
    assert "laboratory" in (folder / "evaluation.txt").read_text()


def test_the_saved_detector_looks_at_fields_of_any_size(trained, places):
    detector = load_detector(trained.model)
    assert detector.threshold == trained.threshold
    field = open_image(places / "one" / "0.png")
    for size in ((70, 45), (333, 200)):
        assert isinstance(detector("a.png", field.resize(size)), list)


def test_a_view_depends_on_its_seed_epoch_and_number_alone(places, tmp_path):
    config = settings(places, tmp_path)
    fields = detection_task.load(config)
    device = choose_device("cpu", False)
    pipeline = detection_task.make_pipeline(config, device, fields)
    one, same, other = (next(pipeline.train(epoch).batches).images.numpy() for epoch in (3, 3, 4))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_a_classifier_is_no_detector_and_a_detector_no_classifier(trained):
    with pytest.raises(UserError, match=r"compact\.h5 is no detector: expected what train\.py"):
        load_detector(default_pair())
    with pytest.raises(UserError, match="is a detector, which finds cells: give it to --detector"):
        load_classifier(trained.model)


def test_a_check_of_a_detector_tells_its_fields_and_its_time(places, tmp_path):
    told = "\n".join(dry_run(settings(places, tmp_path, epochs=7)))
    assert re.search(r"^training: 8 fields of one, two \(red blood cell 96, leukocyte 0, ", told)
    assert re.search(r"network: detector, [\d,]+ parameters, 64 x 64 pixels\n", told)
    assert "epochs: 7 of 3 steps of 2 images" in told
    assert re.search(r"estimated time: \d+\.\d minutes$", told)
    assert not (tmp_path / "models").exists()


def test_folds_are_refused_in_one_line(places, tmp_path):
    fields = f"[{{folder: {places}/one/annotations.json, name: one}}]"
    path = tmp_path / "a.yaml"
    path.write_text(f"model: detector\ntrain_images: {fields}\nimage_size: [64, 64]\n")
    with pytest.raises(UsageError, match="--folds: is for networks that classify"):
        train_command([f"--config={path}", "--folds=source"])


def test_what_a_detector_cannot_learn_from_is_told_before_anything_is_read(places, tmp_path):
    with pytest.raises(UsageError, match=r"composed_of: no folder .*gone"):
        settings(places, tmp_path, composed_of=str(tmp_path / "gone"))
    with pytest.raises(UsageError, match="a detector needs equal sides, multiples of 16"):
        settings(places, tmp_path, image_size=(60, 60))
    with pytest.raises(UsageError, match="composed_of: is for model detector; received model vgg"):
        settings(places / "cells", tmp_path, model="vgg", train_images=str(places / "cells"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="composed_of: no uninfected cells"):
        train(settings(places, tmp_path, composed_of=str(tmp_path / "empty")))
