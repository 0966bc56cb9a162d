"""Tests of malaria/inference/litert.py."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from malaria.base.errors import UserError
from malaria.inference import litert
from malaria.inference.litert import LiteRTNetwork
from malaria.networks.export import to_tflite

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
    expected = model(IMAGES.reshape(120, 8, 6, 3)).numpy()
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


@pytest.mark.parametrize("batch", [1, 4])
def test_a_network_of_a_fixed_batch_gets_that_many_images_and_answers_for_each(
    pairs, tmp_path, batch
):
    from malaria.networks.backend import keras

    model = pairs["ours"][1]
    fixed = keras.Sequential([keras.Input(batch_shape=(batch, 8, 6, 3)), *model.layers])
    path = tmp_path / "fixed.tflite"
    path.write_bytes(to_tflite(fixed))
    lite = LiteRTNetwork(path)
    start = lite._idle[0].interpreter.get_input_details()[0]
    assert start["shape_signature"][0] == batch
    images = IMAGES[:3].reshape(9, 8, 6, 3)
    expected = model(images).numpy()
    for count in (9, 1, 4):
        np.testing.assert_allclose(lite(images[:count]), expected[:count], rtol=0, atol=1e-5)


def test_a_network_of_two_inputs_is_refused_in_one_line(tmp_path):
    from malaria.networks.backend import keras

    starts = [keras.Input((8, 6, 3)), keras.Input((8, 6, 3))]
    path = tmp_path / "two.tflite"
    path.write_bytes(to_tflite(keras.Model(starts, keras.layers.Add()(starts))))
    with pytest.raises(UserError, match=r"expected one input and one output, received 2 and 1$"):
        LiteRTNetwork(path)


@pytest.mark.parametrize("name", ["MAX_TENSOR_BYTES", "MAX_BYTES"])
def test_of_a_network_that_needs_more_than_any_for_cells_nothing_is_run(network, monkeypatch, name):
    monkeypatch.setattr(litert, name, 100)
    with pytest.raises(UserError, match=r"ours\.tflite: its tensors would take "):
        LiteRTNetwork(network[0].path)
