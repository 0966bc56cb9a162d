"""model: the networks, and MODELS = {name: Network}."""

from collections.abc import Callable
from typing import NamedTuple

from malaria.backend import keras
from malaria.errors import UserError


class Network(NamedTuple):
    """How to build one kind of network, and the smallest side of an image it works on."""

    build: Callable
    smallest_side: int


def build_model(name, *, image_size, label_count):
    """A fresh network for images (n, height, width, 3), float32, 0..1; image_size (height, width).

    Its output is (n, 1), the probability of the second label, for two labels; for more it is
    (n, label_count), one probability a label. Raises UserError for a name or a size that cannot be.
    """
    if name not in MODELS:
        raise UserError(f"model: expected one of {list(MODELS)}; received {name!r}")
    network = MODELS[name]
    if min(image_size) < network.smallest_side:
        raise UserError(
            f"image_size: {name} needs sides of at least {network.smallest_side} pixels; "
            f"received {list(image_size)}"
        )
    return network.build(tuple(image_size), label_count)


def vgg(image_size, label_count):
    """The network of the first original, layer for layer: a stripped VGG16.

    Source: Simonyan and Zisserman 2014 for the plan; 6,029,441 parameters at 141 x 141.
    """
    return keras.Sequential(
        [
            keras.Input((*image_size, 3), name="image"),  # 141 x 141 x 3
            _conv(32, "block1_conv1"),
            keras.layers.MaxPooling2D(name="block1_pool"),  # 69 x 69 x 32
            _conv(64, "block2_conv1"),
            _conv(64, "block2_conv2"),
            keras.layers.MaxPooling2D(name="block2_pool"),  # 32 x 32 x 64
            _conv(128, "block3_conv1"),
            _conv(128, "block3_conv2"),
            _conv(128, "block3_conv3"),
            keras.layers.MaxPooling2D(name="block3_pool"),  # 13 x 13 x 128
            keras.layers.Flatten(name="flatten"),  # 21632
            keras.layers.Dropout(0.3, name="dropout"),
            keras.layers.Dense(256, activation="relu", name="dense1"),
            keras.layers.Dense(256, activation="relu", name="dense2"),
            _output(label_count),
        ],
        name="vgg",
    )


def _conv(filters, name):
    return keras.layers.Conv2D(filters, 3, activation="relu", name=name)


def _output(label_count):
    """The last layer; always float32, since half precision cannot hold a small probability."""
    units, activation = (1, "sigmoid") if label_count == 2 else (label_count, "softmax")
    return keras.layers.Dense(units, activation=activation, dtype="float32", name="probability")


MODELS = {
    "vgg": Network(vgg, smallest_side=42),
}
