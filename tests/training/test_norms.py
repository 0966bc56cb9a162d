"""Batch norm in one operation gives the numbers of Keras's own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from malaria.training.devices import computing_in
from malaria.training.norms import FastBatchNorm, with_fast_norms


def make(*, fused, axis=-1, scale=True, precision="float32"):
    keras.utils.set_random_seed(1)
    with computing_in(precision):
        norm = keras.layers.BatchNormalization(axis=axis, scale=scale, momentum=0.9)
        model = keras.Sequential([keras.Input((4, 5, 3)), norm, keras.layers.Conv2D(2, 3)])
    return with_fast_norms(model) if fused else model


def train(model, images):
    """(outputs, gradients of the weights, moving mean and variance) of one step in training."""
    with tf.GradientTape() as tape:
        outputs = model(images, training=True)
        loss = tf.reduce_sum(tf.square(tf.cast(outputs, tf.float32)))
    gradients = tape.gradient(loss, model.trainable_variables)
    moving = [weight for weight in model.weights if weight.name.startswith("moving")]
    return [np.asarray(one, np.float32) for one in (outputs, *gradients, *moving)]


@pytest.fixture
def images():
    return np.random.default_rng(0).normal(3, 2, (6, 4, 5, 3)).astype(np.float32)


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-4), ("bfloat16", 5e-2)])
def test_results_gradients_and_averages_are_those_of_keras(images, precision, tolerance):
    models = [make(fused=fused, precision=precision) for fused in (False, True)]
    expected, found = (train(model, images) for model in models)
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, abs=tolerance * float(np.abs(other).max()))
    if precision == "float32":
        # It classifies by the averages.
        expected, found = (np.asarray(model(images)) for model in models)
        assert found == pytest.approx(expected, abs=1e-5)


def test_a_norm_that_does_not_train_keeps_its_averages(images):
    model = make(fused=True)
    model.layers[0].trainable = False
    before = model.layers[0].get_weights()
    model(images, training=True)
    for pair in zip(before, model.layers[0].get_weights(), strict=True):
        assert np.array_equal(*pair)


@pytest.mark.parametrize("other", [{"axis": 1}, {"scale": False}])
def test_a_norm_of_another_kind_is_left_to_keras(images, other):
    expected, found = (train(make(fused=fused, **other), images) for fused in (False, True))
    for pair in zip(found, expected, strict=True):
        assert np.array_equal(*pair)


def test_the_copy_has_the_weights_of_the_network_and_its_names():
    model = make(fused=False)
    copy = with_fast_norms(model)
    assert type(copy.layers[0]) is FastBatchNorm
    assert [layer.name for layer in copy.layers] == [layer.name for layer in model.layers]
    for pair in zip(copy.get_weights(), model.get_weights(), strict=True):
        assert np.array_equal(*pair)
