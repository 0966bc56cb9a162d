"""Tests of malaria/networks/rebuild.py and vocabulary.py; for the golden pairs: make_golden.py."""

import inspect
import json
from pathlib import Path

import numpy as np
import pytest

from malaria.base.errors import UserError
from malaria.networks.backend import keras, tf
from malaria.networks.load_model import load_model
from malaria.networks.plain_layer import plain_layer
from malaria.networks.rebuild import rebuild
from malaria.networks.vocabulary import ACTIVATIONS, LAYERS
from malaria.saved.pair import find_pair, read_architecture

GOLDEN = Path(__file__).parent / "keras2"
RECORDED = np.load(GOLDEN / "golden.npz")
NAMES = [name for name in RECORDED.files if name != "pictures"]


def read(name):
    return read_architecture(find_pair(GOLDEN / f"{name}.json"))


def layers_of(architecture):
    config = architecture["config"]
    return config["layers"] if isinstance(config, dict) else config


@pytest.mark.parametrize("name", NAMES)
def test_a_golden_pair_gives_the_probabilities_of_keras_2_and_layers_keep_their_names(name):
    pair = find_pair(GOLDEN / f"{name}.h5")
    architecture = read_architecture(pair)
    model = load_model(pair, architecture)
    probabilities = model(RECORDED["pictures"]).numpy()
    np.testing.assert_allclose(probabilities, RECORDED[name], rtol=0, atol=1e-6)
    expected = [entry["config"]["name"] for entry in layers_of(architecture)]
    received = [layer.name for layer in model.layers]
    assert received == expected[-len(received) :]


def test_the_golden_pairs_do_not_answer_alike():
    answers = [RECORDED[name].ravel() for name in NAMES]
    assert all(np.ptp(answer) > 0.01 for answer in answers)
    assert len({answer[0].round(3) for answer in answers}) == len(NAMES)


@pytest.mark.parametrize(
    "compute",
    [
        *(lambda x, y: x + y, lambda x, y: x - y, lambda x, y: x * y, lambda x, y: x / 2),
        *(lambda x, y: 1 - x, lambda x, y: 2 * x, lambda x, y: 0.5 / x),
    ],
)
def test_arithmetic_of_tensors_and_numbers_gives_the_same(compute):
    start = keras.Input((4, 4, 3))
    conv = keras.layers.Conv2D(3, 3, padding="same")
    model = keras.Model(start, keras.layers.Flatten()(compute(start, conv(start))))
    again = rebuild(json.loads(model.to_json()))
    again.set_weights(model.get_weights())
    images = np.random.default_rng(1).random((2, 4, 4, 3), np.float32) + 1
    np.testing.assert_array_equal(again(images), model(images))


def test_every_layer_with_its_defaults_is_built_again():
    needed = {"pool_size": 2, "kernel_size": 3, "filters": 2, "units": 2, "rate": 0.1, "size": 2}
    needed |= {"height": 8, "width": 8, "scale": 0.5, "activation": "relu", "target_shape": (-1,)}
    needed |= {"dims": (2, 1, 3)}
    for name in LAYERS:
        layer = getattr(keras.layers, name.removesuffix("V1"))
        taken = inspect.signature(layer).parameters
        wanted = {key: needed[key] for key in needed if key in taken}
        if name.startswith(("BatchNorm", "LayerNorm", "GroupNorm")):
            wanted.pop("scale")
        config = layer(**wanted).get_config()
        again = plain_layer(name, json.loads(json.dumps(config)))
        assert again.get_config()["name"] == config["name"]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_means_the_same_in_both(activation):
    tf_keras = pytest.importorskip("tf_keras", reason="Keras 2 itself is only here for tests")
    if activation in ("hard_silu", "hard_swish"):
        pytest.skip("Keras 2 has none")
    x = tf.reshape(tf.linspace(-5.0, 5.0, 100), (10, 10))
    ours, theirs = (kind.activations.get(activation)(x) for kind in (keras, tf_keras))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("data_format", "channels_first", "expected data_format channels_last"),
        ("activation", "hard_sigmoid", "the activation 'hard_sigmoid' is not among"),
        ("activation", {"class_name": "Lambda", "config": {}}, "is not among"),
        ("renorm", True, "the setting 'renorm' of Conv2D is not among those known"),
        ("filters", {"class_name": "Zeros", "config": {}}, "is no number or word"),
        ("kernel_size", [3, {"a": 1}], "is no number or word"),
    ],
)
def test_a_setting_that_is_not_known_is_refused_in_one_line(setting, value, message):
    architecture = read("form_2019")
    layers_of(architecture)[0]["config"][setting] = value
    with pytest.raises(UserError, match=message) as caught:
        rebuild(architecture)
    assert "\n" not in str(caught.value)


def test_a_layer_read_at_another_output_or_used_twice_is_refused():
    architecture = read("form_tf2_branches")
    nodes = layers_of(architecture)[1]["inbound_nodes"]
    nodes[0][0][2] = 1
    with pytest.raises(UserError, match="in a way not known here"):
        rebuild(architecture)
    nodes[0][0][2] = 0
    nodes *= 2
    with pytest.raises(UserError, match="the layer 'left' has weights and is used more than once"):
        rebuild(architecture)
