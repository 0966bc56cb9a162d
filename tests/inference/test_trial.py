"""Tests of malaria/inference/trial.py."""

import json
from unittest.mock import Mock

import numpy as np
import pytest
import tensorflow as tf
from plain_network import PlainNetwork

from malaria.base.errors import UserError
from malaria.base.files import sha256_of
from malaria.data.dataset import LABELS
from malaria.inference import trial
from malaria.inference.classifier import Classifier
from malaria.inference.load_classifier import load_classifier
from malaria.inference.network import KerasNetwork
from malaria.networks.export import to_tflite
from malaria.networks.save import save_pair
from malaria.pictures.images import PixelFormat
from malaria.saved.metadata import KEY, Metadata

keras = tf.keras
layers = keras.layers
METADATA = Metadata(LABELS, LABELS[0], PixelFormat((16, 16)))


def network():
    pool, end = layers.GlobalAveragePooling2D(), layers.Dense(1, activation="sigmoid")
    return keras.Sequential([keras.Input((16, 16, 3)), pool, end])


def write_tflite(folder, model):
    path = folder / "lone.tflite"
    path.write_bytes(model if isinstance(model, bytes) else to_tflite(model))
    return path


def assert_refused(path, *parts):
    with pytest.raises(UserError) as caught:
        load_classifier(path)
    for part in (str(path), *parts):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_honest_tflite_is_taken(tmp_path):
    classifier = load_classifier(write_tflite(tmp_path, network()))
    assert sum(classifier.classify(trial.IMAGE)[0].probabilities) == pytest.approx(1)


def test_one_that_computes_for_too_long_is_given_up(tmp_path, monkeypatch):
    # No process is that quick.
    monkeypatch.setattr(trial, "SECONDS", 0.01)
    said = "no answer to a trial image within 0.01 seconds"
    assert_refused(write_tflite(tmp_path, network()), said)


def endless():
    @tf.function(input_signature=[tf.TensorSpec((1, 16, 16, 3), tf.float32)])
    def loop(x):
        first = tf.reshape(x, (1, 768))[:, :1]
        return tf.while_loop(lambda y: tf.reduce_all(y < 2), lambda y: [tf.sigmoid(y)], [first])[0]

    return tf.lite.TFLiteConverter.from_concrete_functions([loop.get_concrete_function()]).convert()


def test_a_loop_is_refused_before_it_runs(tmp_path):
    assert_refused(
        write_tflite(tmp_path, endless()), "expected the operators of a plain network", "WHILE"
    )


def test_of_a_pair_whose_json_names_a_loop_the_h5_answers(tmp_path, capsys):
    pair = save_pair(network(), tmp_path, "a", METADATA.to_entries())
    pair.tflite.write_bytes(endless())
    content = json.loads(pair.architecture.read_text(encoding="utf-8"))
    content[KEY]["tflite_sha256"] = sha256_of(pair.tflite)
    pair.architecture.write_text(json.dumps(content), encoding="utf-8")
    assert isinstance(load_classifier(pair.weights).network, KerasNetwork)
    assert "WHILE; the .h5 is read instead, which takes some seconds" in capsys.readouterr().err


def test_one_that_gives_no_probabilities_is_refused_alone_or_with_its_pair(tmp_path):
    # A diverged network, whose answer is no number on any processor.
    model = network()
    model.layers[-1].set_weights([np.ones((3, 1)), np.full(1, np.nan)])
    pair = save_pair(model, tmp_path / "models", "a", METADATA.to_entries())
    for path in (write_tflite(tmp_path, model), pair.weights):
        assert_refused(path, "expected probabilities for a trial image")


def test_a_network_that_fails_at_the_trial_image_is_refused():
    fail = Mock(side_effect=OverflowError("int too large\nto convert"))
    with pytest.raises(UserError, match=r"for a trial image, received int too large\\nto convert"):
        trial.check_answer(Classifier(METADATA, PlainNetwork(fail)))


def test_one_that_kills_its_process_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(trial.sys, "executable", "/bin/false")
    assert_refused(write_tflite(tmp_path, network()), "LiteRT failed at a trial image")


def test_a_module_in_the_current_folder_is_not_imported(tmp_path, monkeypatch):
    (tmp_path / "numpy.py").write_text("open('ran', 'w')")
    path = write_tflite(tmp_path, network())
    monkeypatch.chdir(tmp_path)
    load_classifier(path)
    assert not (tmp_path / "ran").exists()
