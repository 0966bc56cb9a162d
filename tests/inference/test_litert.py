"""Tests of malaria/inference/litert.py."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from malaria.base.errors import UserError
from malaria.inference import litert
from malaria.inference.litert import LiteRTNetwork

IMAGES = np.random.default_rng(0).random((40, 3, 8, 6, 3), np.float32)


@pytest.fixture
def network(pairs):
    """(LiteRT's, Keras's) of one small network."""
    weights, model = pairs["ours"]
    return LiteRTNetwork(weights.with_suffix(".tflite")), model


def test_several_threads_ask_at_once_and_each_gets_its_own_answers(network):
    lite, model = network
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lite, IMAGES))
    expected = model.predict_on_batch(IMAGES.reshape(120, 8, 6, 3))
    np.testing.assert_allclose(np.concatenate(answers), expected, rtol=0, atol=1e-5)


def test_an_answer_stays_when_the_next_is_asked_for(network):
    first = network[0](np.full((2, 8, 6, 3), 30, np.float32))
    copy = first.copy()
    network[0](np.full((2, 8, 6, 3), -30, np.float32))
    np.testing.assert_array_equal(first, copy)


def test_the_file_may_lie_on_another_machine(network, tmp_path):
    content = network[0].path.read_bytes()
    copy = LiteRTNetwork(tmp_path / "not here.tflite", content=content)
    np.testing.assert_array_equal(copy(IMAGES[0]), network[0](IMAGES[0]))
    assert (copy.image_shape, copy.output_count) == ((8, 6, 3), 1)


def test_of_a_network_that_needs_much_memory_fewer_images_are_asked_about(network, monkeypatch):
    lite = network[0]
    assert lite.batch_size == 8
    memory = litert._memory_of(lite._idle[0].interpreter, lite.path)
    for allowed, batch_size in ((3 * memory, 3), (0, 1)):
        monkeypatch.setattr(litert, "BATCH_BYTES", allowed)
        assert LiteRTNetwork(lite.path).batch_size == batch_size


@pytest.mark.parametrize("name", ["MAX_TENSOR_BYTES", "MAX_BYTES"])
def test_of_a_network_that_needs_more_than_any_for_cells_nothing_is_run(network, monkeypatch, name):
    monkeypatch.setattr(litert, name, 100)
    with pytest.raises(UserError, match=r"ours\.tflite: its tensors would take "):
        LiteRTNetwork(network[0].path)
