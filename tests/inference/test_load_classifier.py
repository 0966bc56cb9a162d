"""Tests of malaria/inference/load_classifier.py."""

import json
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest

from malaria.base.errors import UsageError, UserError
from malaria.base.files import sha256_of
from malaria.data.dataset import LABELS
from malaria.inference import litert, trial
from malaria.inference import load_classifier as loading
from malaria.inference.load_classifier import keep_tflite, load_classifier
from malaria.inference.overrides import override_labels
from malaria.pictures.images import PixelFormat
from malaria.saved.metadata import KEY, Metadata
from malaria.saved.pair import Pair

IMAGES = np.random.default_rng(4).integers(256, size=(5, 8, 6, 3), dtype=np.uint8)


def test_a_saved_network_answers_as_before(pairs):
    path, model = pairs["ours"]
    classifier = load_classifier(path)
    probabilities = classifier.predict(IMAGES)
    expected = model(IMAGES.astype(np.float32) / 255).numpy()
    np.testing.assert_allclose(probabilities[:, 1:], expected, atol=1e-6)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert np.ptp(expected) > 0


@pytest.mark.parametrize(
    ("name", "options", "labels"),
    [
        ("ours", {}, ("sick", "well")),
        ("ours", {"size": (8, 6)}, ("sick", "well")),
        ("ours", {"labels": ["krank", "gesund"]}, ("krank", "gesund")),
        ("historic", {"labels": ["NORMAL", "PNEUMONIA"]}, ("NORMAL", "PNEUMONIA")),
    ],
    ids=["as it says", "the size it has anyway", "other names", "as in its time"],
)
def test_what_the_metadata_says_holds_unless_options_say_otherwise(pairs, name, options, labels):
    metadata = load_classifier(pairs[name][0], **options).metadata
    pixels = {"ours": PixelFormat((8, 6)), "historic": PixelFormat((8, 6), "BGR", "bicubic")}
    assert metadata.pixels == pixels[name]
    assert metadata.labels == labels
    assert metadata.positive_label == labels[1]


def test_three_outputs_take_three_names(pairs):
    classifier = load_classifier(pairs["three"][0], labels=["a", "b", "c"])
    assert classifier.metadata.positive_label in classifier.metadata.labels
    assert classifier.predict(IMAGES).shape == (5, 3)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("ours", {"labels": ["a", "b", "c"]},
         "--labels: the network tells 2 labels apart; received 3: a, b, c"),
        ("three", {}, "name the model's 3 labels: --labels=A,B,C"),
        ("three", {"labels": ["a\x1b", "b"]},
         "--labels: the network tells 3 labels apart; received 2: a\\x1b, b"),
        ("ours", {"size": (6, 8)},
         "--resize: the network takes 8,6 (height, width) and no other; received 6,8"),
        ("historic", {"size": (141, 141)},
         "--resize: the network takes 8,6 (height, width) and no other; received 141,141"),
    ],
)  # fmt: skip
def test_what_the_network_cannot_do_is_refused(pairs, name, options, message):
    with pytest.raises(UsageError) as caught:
        load_classifier(pairs[name][0], **options)
    assert str(caught.value) == message


@pytest.fixture
def copy(pairs, tmp_path, monkeypatch):
    """The pair "ours" in a folder of its own, on a machine whose cache knows nothing."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "models").mkdir()
    weights, _ = pairs["ours"]
    pair = Pair.at(tmp_path / "models", "ours")
    for path in (pair.weights, pair.architecture, pair.tflite):
        shutil.copy(weights.with_suffix(path.suffix), path)
    return pair


@pytest.fixture
def trials(monkeypatch):
    tried = []
    monkeypatch.setattr(trial, "try_apart", lambda path, side: tried.append(path))
    return tried


def uses_lite(classifier):
    return isinstance(classifier.network, litert.LiteRTNetwork)


def test_a_pair_of_another_machine_is_believed_after_one_trial(copy, tmp_path, capsys):
    for is_tried in (False, True):
        known = {path.name for path in (tmp_path / "cache").glob("malaria/tried/*")}
        assert known == ({sha256_of(copy.tflite)} if is_tried else set())
        classifier = load_classifier(copy.weights)
        assert uses_lite(classifier)
        keep_tflite(classifier)
    assert capsys.readouterr().err == ""
    assert list((tmp_path / "cache" / "malaria").iterdir()) == [tmp_path / "cache/malaria/tried"]


def test_the_second_start_and_the_pretrained_pairs_need_no_trial(copy, trials):
    load_classifier(copy.weights)
    assert trials == [copy.tflite]
    load_classifier(copy.weights)
    load_classifier()
    assert trials == [copy.tflite]


def test_what_was_saved_here_needs_no_trial(pairs, trials):
    assert uses_lite(load_classifier(pairs["ours"][0]))
    assert trials == []


def test_where_no_trial_can_be_remembered_each_start_has_one(copy, trials, tmp_path):
    (tmp_path / "cache").write_text("no folder")
    for count in (1, 2):
        assert uses_lite(load_classifier(copy.weights))
        assert len(trials) == count


def change_metadata(pair, **changes):
    content = json.loads(pair.architecture.read_text(encoding="utf-8"))
    content[KEY].update(changes)
    pair.architecture.write_text(json.dumps(content), encoding="utf-8")


NO_SUCH = "ours.tflite: not the one whose SHA-256 is in ours.json"


@pytest.mark.parametrize(
    ("instead", "named", "message"),
    [
        ("nothing", "as before", None),
        ("another", "as before", NO_SUCH),
        ("a byte changed", "as before", NO_SUCH),
        ("the same", "no more", NO_SUCH),  # a pair of version 2.1.0
        ("another", "anew", "(height, width, channels, outputs) (8, 6, 3, 1), received"),
        ("no network", "anew", "ours.tflite: expected a .tflite: "),
    ],
)
def test_without_its_tflite_keras_answers_alike_and_a_new_one_is_kept(
    pairs, copy, instead, named, message, capsys
):
    before = load_classifier(copy.weights).predict(IMAGES)
    content = copy.tflite.read_bytes()
    contents = {
        "another": pairs["three"][0].with_suffix(".tflite").read_bytes(),
        "a byte changed": content[:-1] + bytes([content[-1] ^ 1]),
        "the same": content,
        "no network": b"no network",
    }
    copy.tflite.unlink()
    if instead in contents:
        copy.tflite.write_bytes(contents[instead])
    if named != "as before":
        sha256 = sha256_of(copy.tflite) if named == "anew" else None
        change_metadata(copy, tflite_sha256=sha256)
    listed = {path: path.read_bytes() for path in copy.weights.parent.iterdir()}
    classifier = load_classifier(copy.weights)
    told = capsys.readouterr().err
    assert message is None or message in told
    assert told.count("; the .h5 is read instead, which takes some seconds\n") == bool(told)
    assert not uses_lite(classifier)
    np.testing.assert_allclose(classifier.predict(IMAGES), before, rtol=0, atol=1e-5)
    keep_tflite(classifier)
    assert "with which the next start is quick" in capsys.readouterr().err
    again = load_classifier(copy.weights)
    assert uses_lite(again)
    np.testing.assert_allclose(again.predict(IMAGES), before, rtol=0, atol=1e-6)
    assert capsys.readouterr().err == ""
    assert {path: path.read_bytes() for path in copy.weights.parent.iterdir()} == listed


@pytest.mark.parametrize(("engine", "kept"), [("litert", 1), ("keras", 0)])
def test_litert_on_demand_makes_the_tflite_first_and_keras_keeps_nothing(
    copy, tmp_path, engine, kept
):
    copy.tflite.unlink()
    classifier = load_classifier(copy.weights, engine=engine)
    assert uses_lite(classifier) is (engine == "litert")
    keep_tflite(classifier)
    assert len(list(tmp_path.glob("cache/malaria/*.tflite"))) == kept


@pytest.mark.parametrize(("many", "gpu", "lite"), [(True, True, False), (True, False, True),
                                                   (False, True, True)])  # fmt: skip
def test_keras_answers_for_many_images_on_a_gpu(copy, monkeypatch, many, gpu, lite):
    monkeypatch.setattr(loading, "nvidia_smi_works", lambda: gpu)
    assert uses_lite(load_classifier(copy.weights, many=many)) is lite
    assert uses_lite(load_classifier(copy.weights, many=many, engine="litert"))


def test_where_there_is_no_litert_keras_answers_and_litert_on_demand_is_an_error(copy, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    classifier = load_classifier(copy.weights)
    assert not uses_lite(classifier)
    with pytest.raises(UserError) as caught:
        load_classifier(copy.weights, engine="litert")
    assert str(caught.value) == "--engine litert: not installed here; pip install ai-edge-litert"


def test_the_metadata_of_another_size_than_the_networks_is_refused(copy):
    change_metadata(copy, image_size=[6, 8])
    with pytest.raises(UserError, match=r"says images of \(6, 8\), the network takes \(8, 6\)"):
        load_classifier(copy.weights)


def test_what_is_assumed_of_a_historic_pair_is_told_in_one_line(pairs, capsys):
    load_classifier(pairs["ours"][0])
    assert capsys.readouterr().err == ""
    load_classifier(pairs["historic"][0], engine="keras")
    assert capsys.readouterr().err == (
        "assumed, for the model does not say it: labels Parasitized, Uninfected, positive "
        "label Parasitized, channels BGR, grey levels as 0..1, resampling bicubic; say otherwise "
        "with --labels, --positive, --channels, --scale, --resampling\n"
    )


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"labels": ["a", "b"], "scale": "-1..1"}, "positive label b, channels BGR, resampling bi"),
        ({"channels": "rgb", "resampling": "nearest"}, "labels Parasitized, Uninfected, positive"),
    ],
)
def test_what_was_said_is_not_told_as_assumed(pairs, capsys, said, expected):
    model = load_classifier(pairs["historic"][0], engine="keras", **said)
    line = capsys.readouterr().err.splitlines()[0]
    assert line.startswith(f"assumed, for the model does not say it: {expected}")
    assert not any(f"--{option}" in line for option in said)
    assert model.metadata.pixels.resampling == said.get("resampling", "bicubic")


def test_where_all_is_said_nothing_is_assumed(pairs, capsys):
    known = {"labels": ["a", "b"], "positive": "a", "channels": "rgb", "scale": "imagenet"}
    load_classifier(pairs["historic"][0], engine="keras", resampling="linear", **known)
    assert capsys.readouterr().err == ""


def test_a_next_start_that_cannot_be_made_quicker_is_no_failure(copy, tmp_path, capsys):
    copy.tflite.unlink()
    (tmp_path / "cache").write_text("no folder")
    keep_tflite(load_classifier(copy.weights))
    assert capsys.readouterr().err.startswith("the next start will not be quicker: cannot write ")


@pytest.mark.parametrize("labels", [["NORMAL", "PNEUMONIA"], ["PNEUMONIA", "NORMAL"]])
def test_the_positive_label_that_nobody_says_is_not_the_healthy_one(labels):
    assumed = Metadata(LABELS, "Parasitized", PixelFormat((9, 7)), assumed=frozenset({"positive"}))
    assert override_labels(assumed, 1, labels, None).positive_label == "PNEUMONIA"
    # A model that says which one it is keeps it under another name.
    known = replace(assumed, assumed=frozenset())
    assert override_labels(known, 1, labels, None).positive_label == labels[0]
