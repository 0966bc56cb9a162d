"""The pretrained pairs: whole, as their card says, and right about drawn cells."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from malaria.data.dataset import LABELS
from malaria.data.drawn_cells import write_cells
from malaria.inference.litert import LiteRTNetwork
from malaria.inference.load_classifier import load_classifier
from malaria.inference.predict import predict
from malaria.pictures.folders import find_images
from malaria.saved import tflite
from malaria.saved.metadata import read_metadata
from malaria.saved.pair import default_pair, find_pair, read_architecture

FOLDER = Path(__file__).parents[2] / "pretrained"
NAMES = ("compact", "vgg")
# No cell of these was seen in training: the networks learnt from patients.
COUNT, SEED, PATIENTS = 60, 77, 20


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    write_cells(folder, COUNT, seed=SEED, patients=PATIENTS)
    paths = list(find_images(folder))
    return paths, [path.parent.name for path in paths]


def answers_of(name, paths, **options):
    return list(predict(paths, load_classifier(FOLDER / f"{name}.h5", **options)))


@pytest.mark.parametrize("name", NAMES)
def test_of_drawn_cells_nineteen_in_twenty_are_right_and_both_engines_give_one_answer(drawn, name):
    paths, labels = drawn
    lite = answers_of(name, paths, engine="litert")
    assert np.mean([one.label == label for one, label in zip(lite, labels, strict=True)]) >= 0.95
    keras = answers_of(name, paths[::10], engine="keras")
    for one, other in zip(lite[::10], keras, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, rel=0, abs=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_each_has_its_own_whole_tflite_and_was_judged_on_patients_it_never_saw(name):
    pair = find_pair(FOLDER / f"{name}.h5")
    metadata = read_metadata(pair, read_architecture(pair))
    assert tflite.belongs(pair, metadata)
    assert tflite.is_pretrained(pair)
    details = metadata.details
    assert details["labels"] == list(LABELS)
    assert details["positive_label"] == "Parasitized"
    assert details["split"]["by"] == "patient"
    assert details["split"]["validation_patients"]
    assert details["config"]["exclude"] is None
    assert details["config"]["model"] == name
    # Nothing of the machine it was made on.
    assert not re.search(r'": "/', json.dumps(details["config"]))


def test_the_card_names_each_pair_and_nothing_else_lies_there():
    card = (FOLDER / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert all(name in card for name in NAMES)
    suffixes = (".h5", ".json", ".tflite")
    expected = {f"{name}{suffix}" for name in (*NAMES, "detector") for suffix in suffixes} | {
        "MODEL_CARD.md"
    }
    assert {path.name for path in FOLDER.iterdir()} == expected
    assert default_pair().parent == FOLDER
    assert default_pair().name in expected


@pytest.mark.parametrize(("engine", "tolerance"), [("litert", 1e-6), ("keras", 1e-5)])
def test_the_pair_answers_as_it_did_when_it_was_made(tmp_path, monkeypatch, engine, tolerance):
    """golden_compact.json was written by version 2.5.0; Keras answers where there is no .tflite."""
    golden = json.loads(Path(__file__).with_name("golden_compact.json").read_text())["answers"]
    paths = sorted(write_cells(tmp_path / "cells", 2, seed=11))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    suffixes = (".h5", ".json", ".tflite") if engine == "litert" else (".h5", ".json")
    for suffix in suffixes:
        shutil.copy(FOLDER / f"compact{suffix}", tmp_path)
    model = load_classifier(tmp_path / "compact.h5")
    assert isinstance(model.network, LiteRTNetwork) is (engine == "litert")
    answers = {f"{one.path.name}/{one.path.parent.name}": one for one in model.classify(paths)}
    assert answers.keys() == golden.keys()
    for name, one in answers.items():
        assert one.probabilities == pytest.approx(golden[name], abs=tolerance)
