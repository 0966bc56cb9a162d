"""Tests of malaria/networks/applications.py and application_names.py: networks of Keras's own."""

import inspect

import numpy as np
import pytest

from malaria.inference.gradcam import Explainer
from malaria.inference.litert import LiteRTNetwork
from malaria.model import build_model
from malaria.networks.application_names import APPLICATIONS
from malaria.networks.applications import DEVIATION, MEAN
from malaria.networks.ask import ask
from malaria.networks.backend import keras
from malaria.networks.load_model import load_model
from malaria.networks.save import save_pair
from malaria.saved.pair import read_architecture
from malaria.training.norms import with_fast_norms
from malaria.training.optimizer import find_head, find_stem, group_of

IMAGES = np.random.default_rng(1).random((3, 32, 32, 3), np.float32)


class CustomScaleLayer(keras.layers.Layer):
    """As InceptionResNetV2 has it."""

    def __init__(self, scale, **known):
        super().__init__(**known)
        self.scale = scale

    def get_config(self):
        return super().get_config() | {"scale": self.scale}

    def call(self, inputs):
        return inputs[0] + inputs[1] * self.scale


def small(*, include_top, weights, input_tensor, input_shape, pooling):
    """Of every kind of layer that is changed one, in a network that is built in a moment."""
    assert (include_top, weights, input_shape, pooling) == (False, None, (32, 32, 3), "avg")
    maps = keras.layers.Normalization()(keras.layers.Rescaling(1 / 255)(input_tensor))
    maps = keras.layers.Conv2D(8, 3, strides=2, name="conv1")(maps)
    norm = keras.layers.BatchNormalization()(maps)
    maps = CustomScaleLayer(0.2)([maps, norm + 3.0])
    maps = keras.layers.DepthwiseConv2D(3)(keras.layers.Conv2D(8, 1)(maps))
    pooled = keras.layers.GlobalAveragePooling2D()(maps)
    return keras.Model(keras.utils.get_source_inputs(input_tensor)[0], pooled)


def network(name):
    """The network of that name, but with `small` as what lies between the ends."""
    module = inspect.getmodule(getattr(keras.applications, name))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.applications, name, small)
        patch.setattr(small, "__module__", module.__name__)
        return build_model(f"keras.{name}", image_size=(32, 32), label_count=2)


@pytest.fixture(scope="module")
def vgg16():
    return network("VGG16")


def test_the_table_has_every_network_that_keras_has_but_convnext():
    known = [name for name, one in inspect.getmembers(keras.applications, inspect.isfunction)]
    assert sorted(APPLICATIONS) == [name for name in known if not name.startswith("ConvNeXt")]


# Of each kind of preprocessing one: -1..1, ImageNet's mean and deviation, BGR, none.
@pytest.mark.parametrize("name", ["MobileNet", "DenseNet121", "VGG16", "EfficientNetV2B0"])
def test_a_network_does_to_its_images_what_its_preprocess_input_does(name):
    model = network(name)
    found = keras.Model(model.inputs[0], model.get_layer("preprocessing").output)(IMAGES)
    module = inspect.getmodule(getattr(keras.applications, name))
    np.testing.assert_allclose(found, module.preprocess_input(255 * IMAGES), atol=1e-4)
    assert not model.get_layer("preprocessing").trainable_weights


def test_efficientnet_normalizes_by_imagenets_numbers_whatever_weights_it_begins_with():
    model = network("EfficientNetB0")
    part = keras.Model(model.inputs[0], model.get_layer("normalization").output)
    np.testing.assert_allclose(part(IMAGES), (IMAGES - MEAN) / DEVIATION, atol=1e-5)


def test_batch_norm_learns_the_statistics_of_cells_in_tens_of_steps(vgg16):
    assert vgg16.get_layer("batch_normalization").momentum == 0.9


def test_a_saved_network_of_keras_answers_as_it_did_with_either_engine_and_is_explained(
    vgg16, tmp_path
):
    # Not the first weights of the frozen convolution, which are the same in every copy.
    vgg16.set_weights([0.9 * weights for weights in vgg16.get_weights()])
    expected = ask(vgg16, IMAGES)
    assert np.ptp(expected) > 0
    pair = save_pair(vgg16, tmp_path, "theirs", {})
    again = load_model(pair, read_architecture(pair))
    np.testing.assert_allclose(ask(again, IMAGES), expected, atol=1e-6)
    np.testing.assert_allclose(LiteRTNetwork(pair.tflite)(IMAGES), expected, atol=1e-5)
    np.testing.assert_allclose(ask(with_fast_norms(vgg16), IMAGES), expected, atol=1e-5)
    assert again.name == "keras.VGG16"
    assert Explainer(again).heat_maps(IMAGES, [0, 1, 0]).shape == (3, 32, 32)


def test_layers_are_called_alike_in_every_process(vgg16):
    names = [layer.name for layer in vgg16.layers]
    assert [layer.name for layer in network("VGG16").layers] == names
    assert {"image", "conv1", "conv2d", "custom_scale_layer", "depthwise_conv2d"} < {*names}


def test_fine_tuning_divides_what_has_maps_in_two_and_begins_with_the_head(vgg16):
    head, stem = find_head(vgg16), find_stem(vgg16)
    assert head == {"probability"}
    paths = [variable.path for variable in vgg16.trainable_variables]
    groups = {path.split("/")[0]: group_of(path, head, stem) for path in paths}
    assert groups == {
        "conv1": 0,
        "batch_normalization": 1,
        "conv2d": 1,
        "depthwise_conv2d": 1,
        "probability": 2,
    }
