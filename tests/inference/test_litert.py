"""Tests of malaria/inference/litert.py."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from malaria.inference.litert import LiteRTNetwork, is_available
from malaria.model import NETWORKS, build_model
from malaria.networks.backend import keras
from malaria.networks.export import to_tflite
from malaria.saved.tflite import digest_pair, write_sealed

DIGEST = digest_pair("ab" * 32, {"class_name": "Sequential", "config": {"layers": []}})


@pytest.mark.parametrize("label_count", [2, 3])
@pytest.mark.parametrize("name", NETWORKS)
def test_both_engines_give_one_answer_for_batches_of_any_size(tmp_path, capfd, name, label_count):
    keras.utils.set_random_seed(1)
    side = NETWORKS[name].smallest_side
    size = (side + 5, side + 2)
    model = build_model(name, image_size=size, label_count=label_count)
    write_sealed(tmp_path / "a.tflite", to_tflite(model), DIGEST)
    network = LiteRTNetwork(tmp_path / "a.tflite")
    random = np.random.default_rng(2)
    seen = []
    for count in (1, 5, 3, 5, 1):
        # Of unlike strength and far from 0..1, so that untrained weights answer unlike too.
        strength = 10 ** random.uniform(-2, 2, size=(count, 1, 1, 1))
        images = (strength * random.normal(size=(count, *size, 3))).astype(np.float32)
        answers = network(images)
        expected = model.predict_on_batch(images)
        assert answers.shape == expected.shape
        assert answers.dtype == np.float32
        np.testing.assert_allclose(answers, expected, rtol=0, atol=1e-4)
        seen += list(expected)
    assert np.ptp(seen, axis=0).min() > 0.05
    assert network.output_count == expected.shape[1]
    assert capfd.readouterr() == ("", "")


def test_several_threads_ask_at_once_and_each_gets_its_own_answers(tmp_path):
    model = build_model("compact", image_size=(16, 16), label_count=2)
    write_sealed(tmp_path / "a.tflite", to_tflite(model), DIGEST)
    network = LiteRTNetwork(tmp_path / "a.tflite")
    batches = np.random.default_rng(0).random((40, 3, 16, 16, 3), np.float32)
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(network, batches))
    for batch, answer in zip(batches, answers, strict=True):
        np.testing.assert_allclose(answer, model.predict_on_batch(batch), rtol=0, atol=1e-5)


def test_an_answer_stays_when_the_next_is_asked_for(tmp_path):
    model = build_model("vgg", image_size=(42, 42), label_count=2)
    write_sealed(tmp_path / "a.tflite", to_tflite(model), DIGEST)
    network = LiteRTNetwork(tmp_path / "a.tflite")
    first = network(np.full((2, 42, 42, 3), 30, np.float32))
    copy = first.copy()
    network(np.full((2, 42, 42, 3), -30, np.float32))
    np.testing.assert_array_equal(first, copy)


def test_where_litert_is_not_installed_that_is_known(monkeypatch):
    assert is_available()
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    assert not is_available()
