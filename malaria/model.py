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


def compact(image_size, label_count):
    """Our own, for two CPU cores: residual stages with batch norm, and no wide layer at the end.

    He et al. 2016 for the shortcut, Ioffe and Szegedy 2015 for the norm; 295,217 parameters at any
    size of image.
    """
    image = keras.Input((*image_size, 3), name="image")  # 64 x 64 x 3
    maps = image
    for stage, filters in enumerate((16, 32, 64, 128), start=1):
        maps = _conv_norm(maps, filters, f"stage{stage}_conv")
        maps = keras.layers.MaxPooling2D(name=f"stage{stage}_pool")(maps)  # halved
        residue = _conv_norm(maps, filters, f"stage{stage}_residue")
        maps = keras.layers.Add(name=f"stage{stage}_add")([maps, residue])
    # Whether there is a parasite anywhere, and how much of it: 128 numbers each.
    pooled = [
        keras.layers.GlobalAveragePooling2D(name="average")(maps),
        keras.layers.GlobalMaxPooling2D(name="maximum")(maps),
    ]
    pooled = keras.layers.Concatenate(name="pooled")(pooled)
    pooled = keras.layers.Dropout(0.3, name="dropout")(pooled)
    return keras.Model(image, _output(label_count)(pooled), name="compact")


def _conv_norm(maps, filters, name):
    """Convolution, batch norm and ReLU, at the same size."""
    maps = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False, name=name)(maps)
    # Keras's momentum of .99 would take hundreds of steps to know the data.
    maps = keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(maps)
    return keras.layers.ReLU(name=f"{name}_relu")(maps)


def _conv(filters, name):
    return keras.layers.Conv2D(filters, 3, activation="relu", name=name)


def _output(label_count):
    """The last layer; always float32, since half precision cannot hold a small probability."""
    units, activation = (1, "sigmoid") if label_count == 2 else (label_count, "softmax")
    return keras.layers.Dense(units, activation=activation, dtype="float32", name="probability")


MODELS = {
    "vgg": Network(vgg, smallest_side=42),
    "compact": Network(compact, smallest_side=16),
}
