"""The networks: their layers, their sizes, and what they put out."""

from contextlib import suppress

import numpy as np
import pytest

from malaria.errors import UserError
from malaria.model import MODELS, build_model

# The table in the first original's README: kind of layer, output shape, parameters.
ORIGINAL = [
    ("Conv2D", (139, 139, 32), 896),
    ("MaxPooling2D", (69, 69, 32), 0),
    ("Conv2D", (67, 67, 64), 18496),
    ("Conv2D", (65, 65, 64), 36928),
    ("MaxPooling2D", (32, 32, 64), 0),
    ("Conv2D", (30, 30, 128), 73856),
    ("Conv2D", (28, 28, 128), 147584),
    ("Conv2D", (26, 26, 128), 147584),
    ("MaxPooling2D", (13, 13, 128), 0),
    ("Flatten", (21632,), 0),
    ("Dropout", (21632,), 0),
    ("Dense", (256,), 5538048),
    ("Dense", (256,), 65792),
    ("Dense", (1,), 257),
]


def test_vgg_is_the_original_layer_for_layer():
    model = build_model("vgg", image_size=(141, 141), label_count=2)
    layers = [
        (type(layer).__name__, tuple(layer.output.shape[1:]), layer.count_params())
        for layer in model.layers
    ]
    assert layers == ORIGINAL
    assert model.count_params() == 6_029_441
    assert model.get_layer("dropout").rate == 0.3


def test_compact_has_as_many_parameters_at_any_size():
    counts = {
        side: build_model("compact", image_size=(side, side), label_count=2).count_params()
        for side in (64, 96)
    }
    assert counts == {64: 295_217, 96: 295_217}


def test_compact_looks_at_the_average_and_at_the_maximum_of_its_last_maps():
    model = build_model("compact", image_size=(64, 64), label_count=2)
    assert model.get_layer("stage4_add").output.shape == (None, 4, 4, 128)
    assert model.get_layer("pooled").output.shape == (None, 256)


@pytest.mark.parametrize("name", MODELS)
def test_two_labels_end_in_one_sigmoid(name):
    side = MODELS[name].smallest_side
    model = build_model(name, image_size=(side, side), label_count=2)
    outputs = model.predict_on_batch(np.random.default_rng(0).random((3, side, side, 3), "f"))
    assert outputs.shape == (3, 1)
    assert ((outputs > 0) & (outputs < 1)).all()


@pytest.mark.parametrize("name", MODELS)
def test_more_labels_end_in_a_softmax(name):
    side = MODELS[name].smallest_side
    model = build_model(name, image_size=(side, side), label_count=4)
    outputs = model.predict_on_batch(np.random.default_rng(0).random((3, side, side, 3), "f"))
    assert outputs.shape == (3, 4)
    assert outputs.sum(axis=1) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_the_smallest_side_is_the_smallest_that_works(name):
    side = MODELS[name].smallest_side
    with pytest.raises(UserError, match=f"at least {side} pixels"):
        build_model(name, image_size=(200, side - 1), label_count=2)
    # Older versions of Keras build it, with maps of no pixels.
    with suppress(ValueError):
        model = MODELS[name].build((side - 1, side - 1), 2)
        assert any(0 in layer.output.shape for layer in model.layers)


def test_height_and_width_may_differ():
    model = build_model("vgg", image_size=(50, 90), label_count=2)
    assert model.input_shape == (None, 50, 90, 3)


def test_an_unknown_name_is_told_the_known_ones():
    with pytest.raises(UserError, match=r"expected one of \['vgg'.*received 'vgg16'"):
        build_model("vgg16", image_size=(141, 141), label_count=2)
