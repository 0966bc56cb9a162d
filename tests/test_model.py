"""The networks: their layers, their sizes, and what they put out."""

import math
from contextlib import suppress

import numpy as np
import pytest

from malaria.base.errors import UserError
from malaria.model import NETWORKS, build_model
from malaria.networks.backend import keras

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


@pytest.mark.parametrize("side", [64, 96])
def test_compact_has_as_many_parameters_at_any_size_for_it_pools_its_last_maps_twice(side):
    model = build_model("compact", image_size=(side, side), label_count=2)
    assert model.count_params() == 295_217
    assert model.get_layer("stage4_add").output.shape == (None, side // 16, side // 16, 128)
    assert model.get_layer("pooled").output.shape == (None, 256)


def test_keras_cnn_is_the_second_originals_layer_for_layer():
    model = build_model("keras_cnn", image_size=(128, 128), label_count=2)
    kinds = [type(layer).__name__ for layer in model.layers]
    head = ["Flatten", "Dense", "Dropout", "Dense"]
    assert kinds == ["Conv2D", "MaxPooling2D", "Dropout"] * 3 + head
    rates = [layer.rate for layer in model.layers if type(layer).__name__ == "Dropout"]
    assert rates == [0.2, 0.3, 0.3, 0.5]
    assert model.count_params() == 826_529


@pytest.fixture(scope="module")
def xresnet34():
    return build_model("xresnet34", image_size=(224, 224), label_count=2)


def test_xresnet34_has_fastais_parameters(xresnet34):
    counts = {one.path: math.prod(one.shape) for one in xresnet34.trainable_variables}
    head = [count for path, count in counts.items() if path.startswith(("head", "probability"))]
    assert sum(head) == 528_384
    assert sum(counts.values()) - 528_384 == 21_303_904
    assert xresnet34.count_params() == 21_852_512


def test_each_block_of_xresnet34_starts_as_what_its_shortcut_is(xresnet34):
    last = [layer for layer in xresnet34.layers if layer.name.endswith("_b_norm")]
    assert len(last) == 3 + 4 + 6 + 3
    assert not any(np.any(layer.gamma) for layer in last)
    others = [one for one in xresnet34.layers if one.name.endswith("_norm") and one not in last]
    assert all(np.all(np.asarray(layer.gamma) == 1) for layer in others)


def test_the_shortcuts_of_xresnet34_are_pooled_where_the_size_halves(xresnet34):
    pools = [one for one in xresnet34.layers if one.name.endswith("_shortcut_pool")]
    assert [layer.name for layer in pools] == [f"stage{n}_block1_shortcut_pool" for n in (2, 3, 4)]
    assert [layer.output.shape[1:3] for layer in pools] == [(28, 28), (14, 14), (7, 7)]
    convolution = xresnet34.get_layer("stage2_block1_shortcut")
    assert (convolution.kernel_size, convolution.strides) == ((1, 1), (1, 1))


def test_xresnet34_begins_with_three_small_convolutions_and_sees_the_maximum_before_the_average(
    xresnet34,
):
    stem = [xresnet34.get_layer(f"stem{number}") for number in (1, 2, 3)]
    assert [one.output.shape[1:] for one in stem] == [
        (112, 112, 32),
        (112, 112, 32),
        (112, 112, 64),
    ]
    assert not any(one.use_bias for one in stem)
    assert xresnet34.get_layer("stem_pool").output.shape[1:] == (56, 56, 64)
    features = xresnet34.get_layer("head_pooled")
    sources = [tensor._keras_history.operation.name for tensor in features.input]
    assert sources == ["head_maximum", "head_average"]


def test_the_convolutions_of_xresnet34_halve_as_pytorch_does():
    # An edge of zeros on both sides; Keras's "same" would put it on one only.
    model = build_model("xresnet34", image_size=(32, 32), label_count=2)
    image = np.random.default_rng(0).random((1, 32, 32, 3), "f")
    kernel = np.asarray(model.get_layer("stem1").kernel)
    part = keras.Model(model.input, model.get_layer("stem1").output)
    padded = np.pad(image[0], ((1, 1), (1, 1), (0, 0)))
    corner = np.einsum("ijc,ijcf->f", padded[:3, :3], kernel)
    assert part.predict_on_batch(image)[0, 0, 0] == pytest.approx(corner, abs=1e-5)


@pytest.fixture(scope="module")
def efficientnet_lite0():
    return build_model("efficientnet_lite0", image_size=(64, 64), label_count=2)


def test_efficientnet_lite0_has_the_parameters_and_shortcuts_of_its_source(efficientnet_lite0):
    trainable = sum(math.prod(one.shape) for one in efficientnet_lite0.trainable_variables)
    # With ImageNet's thousand labels.
    assert trainable + 999 * 1281 == 4_652_008
    shapes = [one.output.shape[1:] for one in efficientnet_lite0.layers if "_add" in one.name]
    assert shapes == [(16, 16, 24), (8, 8, 40), *2 * [(4, 4, 80)], *2 * [(4, 4, 112)],
                      *3 * [(2, 2, 192)]]  # fmt: skip
    relus = [one for one in efficientnet_lite0.layers if one.name.endswith("_relu")]
    assert {layer.max_value for layer in relus} == {6}


def test_efficientnet_lite0_scales_the_image_and_halves_it_as_tensorflow_does(efficientnet_lite0):
    # An edge of zeros below and on the right only.
    image = np.random.default_rng(0).random((1, 64, 64, 3), "f")
    stem = efficientnet_lite0.get_layer("stem")
    part = keras.Model(efficientnet_lite0.input, stem.output)
    scaled = (255 * image[0] - 127) / 128
    corner = np.einsum("ijc,ijcf->f", scaled[:3, :3], np.asarray(stem.kernel))
    assert part.predict_on_batch(image)[0, 0, 0] == pytest.approx(corner, abs=1e-4)


@pytest.mark.parametrize("name", [name for name in NETWORKS if NETWORKS[name].any_size])
def test_networks_of_any_size_have_the_same_weights_at_every_size(name):
    flexible = build_model(name, image_size=(64, 64), label_count=2, any_size=True)
    fixed = build_model(name, image_size=(64, 64), label_count=2)
    fixed.set_weights(flexible.get_weights())
    images = np.random.default_rng(0).random((2, 64, 64, 3), "f")
    expected = fixed.predict_on_batch(images)
    assert flexible.predict_on_batch(images) == pytest.approx(expected, abs=1e-5)
    assert flexible.predict_on_batch(images[:, :40, :40]).shape == expected.shape


@pytest.mark.parametrize("name", NETWORKS)
def test_two_labels_end_in_one_sigmoid_but_for_fastais_head_and_more_in_a_softmax(name):
    side = NETWORKS[name].smallest_side
    images = np.random.default_rng(0).random((3, side, side, 3), "f")
    two, four = (
        build_model(name, image_size=(side, side), label_count=count).predict_on_batch(images)
        for count in (2, 4)
    )
    assert two.shape == (3, 2 if name == "xresnet34" else 1)
    assert ((two > 0) & (two < 1)).all()
    assert four.shape == (3, 4)
    assert four.sum(axis=1) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_smallest_side_is_the_smallest_that_works(name):
    side = NETWORKS[name].smallest_side
    with pytest.raises(UserError, match=f"at least {side} pixels"):
        build_model(name, image_size=(200, side - 1), label_count=2)
    # Older versions of Keras build it, with maps of no pixels.
    with suppress(ValueError):
        model = NETWORKS[name].builder()((side - 1, side - 1), 2)
        assert any(0 in layer.output.shape for layer in model.layers)


def test_height_and_width_may_differ():
    model = build_model("vgg", image_size=(50, 90), label_count=2)
    assert model.input_shape == (None, 50, 90, 3)


def test_an_unknown_name_is_told_the_known_ones():
    with pytest.raises(UserError, match=r"expected vgg or .*mean vgg\?; received 'vggg'"):
        build_model("vggg", image_size=(141, 141), label_count=2)
