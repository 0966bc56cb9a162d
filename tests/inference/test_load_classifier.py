"""Tests of malaria/inference/load_classifier.py."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from malaria.saved.key import cache_folder

from malaria.base.errors import UsageError, UserError
from malaria.base.files import sha256_of
from malaria.inference import litert
from malaria.inference import load_classifier as loading
from malaria.inference.classifier import Classifier
from malaria.inference.load_classifier import load_classifier, prepare_next_start
from malaria.pictures.images import PixelFormat
from malaria.saved.metadata import KEY, Metadata
from malaria.saved.pair import Pair, read_architecture
from malaria.saved.tflite import SEAL_BYTES, digest_pair, write_sealed

PICTURES = np.random.default_rng(4).integers(256, size=(5, 8, 6, 3), dtype=np.uint8)


def test_a_saved_network_answers_as_before(pairs):
    path, model = pairs["ours"]
    classifier = load_classifier(path)
    probabilities = classifier.predict(PICTURES)
    expected = model.predict(PICTURES.astype(np.float32) / 255, verbose=0)
    np.testing.assert_allclose(probabilities[:, 1:], expected, atol=1e-6)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert np.ptp(expected) > 0


def test_what_the_metadata_says_holds_without_options(pairs):
    metadata = load_classifier(pairs["ours"][0]).metadata
    assert metadata.labels == ("sick", "well")
    assert metadata.positive_label == "well"
    assert metadata.pixels == PixelFormat((8, 6))


def test_other_names_for_the_labels_keep_their_places(pairs):
    metadata = load_classifier(pairs["ours"][0], labels=["krank", "gesund"]).metadata
    assert metadata.labels == ("krank", "gesund")
    assert metadata.positive_label == "gesund"


def test_a_historic_pair_is_read_as_in_its_time(pairs):
    metadata = load_classifier(pairs["historic"][0], labels=["NORMAL", "PNEUMONIA"]).metadata
    assert metadata.labels == ("NORMAL", "PNEUMONIA")
    assert metadata.pixels == PixelFormat((8, 6), "BGR", "bicubic")


def test_the_size_a_network_has_anyway_may_be_named(pairs):
    assert load_classifier(pairs["ours"][0], size=(8, 6)).metadata.pixels.size == (8, 6)


def test_three_outputs_take_three_names(pairs):
    classifier = load_classifier(pairs["three"][0], labels=["a", "b", "c"])
    assert classifier.metadata.positive_label in classifier.metadata.labels
    assert classifier.predict(PICTURES).shape == (5, 3)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("ours", {"labels": ["a", "b", "c"]},
         "--labels: the network tells 2 labels apart; received 3: a, b, c"),
        ("three", {}, "--labels: the network tells 3 labels apart; received 2: "
         "Parasitized, Uninfected"),
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
    """The pair "ours" in a folder of its own; what cannot be kept there goes to tmp_path/cache."""
    shutil.copytree(cache_folder(), tmp_path / "cache" / "malaria")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "models").mkdir()
    weights, _ = pairs["ours"]
    made = [tmp_path / "models" / f"ours{suffix}" for suffix in (".h5", ".json", ".tflite")]
    for path in made:
        shutil.copy(weights.with_suffix(path.suffix), path)
    return Pair(*made)


def uses_lite(classifier):
    return isinstance(classifier.network, litert.LiteRTNetwork)


@pytest.mark.parametrize("name", ["ours", "historic", "three"])
def test_both_engines_give_one_answer(pairs, name):
    labels = ["a", "b", "c"] if name == "three" else None
    answers = []
    for engine in ("auto", "litert", "keras"):
        classifier = load_classifier(pairs[name][0], engine=engine, labels=labels)
        answers.append(classifier.predict(PICTURES))
    np.testing.assert_array_equal(answers[0], answers[1])
    np.testing.assert_allclose(answers[1], answers[2], rtol=0, atol=1e-5)


def test_a_pair_with_its_tflite_needs_nothing_afterwards(copy):
    classifier = load_classifier(copy.weights)
    assert uses_lite(classifier)
    assert classifier.afterwards is None


def spoil_nothing(pair, other):
    pair.tflite.unlink()


def spoil_with_another(pair, other):
    shutil.copy(other.with_suffix(".tflite"), pair.tflite)


def spoil_a_byte(pair, other):
    content = bytearray(pair.tflite.read_bytes())
    content[len(content) // 2] ^= 1
    pair.tflite.write_bytes(content)


def spoil_as_a_stranger(pair, other):
    """Another network with a seal that is right but for the key of the one who gave it."""
    digest = digest_pair(sha256_of(pair.weights), read_architecture(pair))
    content = other.with_suffix(".tflite").read_bytes()[:-SEAL_BYTES]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(pair.weights.parent / "stranger"))
        write_sealed(pair.tflite, content, digest)


@pytest.mark.parametrize(
    "spoil", [spoil_nothing, spoil_with_another, spoil_a_byte, spoil_as_a_stranger]
)
def test_without_its_tflite_keras_answers_alike_and_a_new_one_is_written(pairs, copy, spoil):
    before = load_classifier(copy.weights).predict(PICTURES)
    good = copy.tflite.read_bytes()
    spoil(copy, pairs["three"][0])
    classifier = load_classifier(copy.weights)
    assert not uses_lite(classifier)
    np.testing.assert_allclose(classifier.predict(PICTURES), before, rtol=0, atol=1e-5)
    assert classifier.afterwards() == copy.tflite
    assert len(copy.tflite.read_bytes()) == pytest.approx(len(good), abs=500)
    again = load_classifier(copy.weights)
    assert uses_lite(again)
    np.testing.assert_allclose(again.predict(PICTURES), before, rtol=0, atol=1e-6)


def test_a_tflite_that_was_not_made_here_is_named(pairs, copy, capsys):
    spoil_as_a_stranger(copy, pairs["three"][0])
    load_classifier(copy.weights)
    assert capsys.readouterr().err == (
        f"{copy.tflite} is not used, for it was not made here of this model; reading the .h5 takes "
        "some seconds\n"
    )


def test_litert_on_demand_writes_the_tflite_first(copy):
    copy.tflite.unlink()
    classifier = load_classifier(copy.weights, engine="litert")
    assert uses_lite(classifier)
    assert classifier.afterwards is None
    assert copy.tflite.is_file()


def test_keras_on_demand_leaves_the_folder_as_it_is(copy):
    copy.tflite.unlink()
    classifier = load_classifier(copy.weights, engine="keras")
    assert not uses_lite(classifier)
    assert classifier.afterwards is None


def test_beside_a_pair_that_cannot_be_written_the_cache_is_used(copy, tmp_path):
    copy.tflite.unlink()
    copy.tflite.mkdir()  # root may write anywhere, but not over a folder
    classifier = load_classifier(copy.weights)
    assert classifier.afterwards().is_relative_to(tmp_path / "cache")
    assert uses_lite(load_classifier(copy.weights))


@pytest.mark.parametrize(("many", "gpu", "lite"), [(True, True, False), (True, False, True),
                                                   (False, True, True)])  # fmt: skip
def test_keras_answers_for_many_pictures_on_a_gpu(copy, monkeypatch, many, gpu, lite):
    monkeypatch.setattr(loading, "nvidia_smi_works", lambda: gpu)
    assert uses_lite(load_classifier(copy.weights, many=many)) is lite
    assert uses_lite(load_classifier(copy.weights, many=many, engine="litert"))


def test_where_there_is_no_litert_keras_answers_and_litert_on_demand_is_an_error(copy, monkeypatch):
    monkeypatch.setattr(litert, "is_available", lambda: False)
    classifier = load_classifier(copy.weights)
    assert not uses_lite(classifier)
    assert classifier.afterwards is None
    with pytest.raises(UserError) as caught:
        load_classifier(copy.weights, engine="litert")
    assert str(caught.value) == "--engine litert: not installed here; pip install ai-edge-litert"


def test_the_metadata_of_another_size_than_the_networks_is_refused(copy):
    content = json.loads(copy.architecture.read_text(encoding="utf-8"))
    content[KEY]["image_size"] = [6, 8]
    copy.architecture.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(UserError, match=r"says images of \(6, 8\), the network takes \(8, 6\)"):
        load_classifier(copy.weights)


def test_what_is_assumed_of_a_historic_pair_is_told_in_one_line(pairs, capsys):
    load_classifier(pairs["ours"][0])
    assert capsys.readouterr().err == ""
    load_classifier(pairs["historic"][0])
    assert capsys.readouterr().err == (
        "assumed, for the model does not say it: labels Parasitized, Uninfected (positive: "
        "Parasitized), channels BGR, grey levels as 0..1, 8 x 6 pixels; say otherwise with "
        "--labels, --positive, --channels, --scale\n"
    )


def test_a_next_start_that_cannot_be_made_quicker_is_no_failure(capsys):
    def fail():
        raise UserError("cannot write /a\x1b: Read-only file system")

    def make(**changes):
        metadata = Metadata(("sick", "well"), "well", PixelFormat((8, 6)))
        return Classifier(metadata, network=None, **changes)

    prepare_next_start(make())
    assert capsys.readouterr().err == ""
    prepare_next_start(make(afterwards=fail))
    assert capsys.readouterr().err == (
        "the next start will not be quicker: cannot write /a\\x1b: Read-only file system\n"
    )
    prepare_next_start(make(afterwards=lambda: Path("models/a.tflite")))
    assert capsys.readouterr().err.startswith("saved models/a.tflite, ")
