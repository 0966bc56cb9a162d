"""model: the networks, and MODELS = {name: Network}."""

from collections.abc import Callable
from typing import NamedTuple

from malaria.base.errors import UserError
from malaria.networks.backend import keras


class Network(NamedTuple):
    """How to build one kind of network, and the smallest side of an image it works on."""

    build: Callable
    smallest_side: int


def build_model(name, *, image_size, label_count, any_size=False):
    """A fresh network for images (n, height, width, 3), float32, 0..1; image_size (height, width).

    Its output is (n, 1), the probability of the second label, for two labels; for more, and always
    for xresnet34, it is (n, label_count), one probability a label. any_size: it takes images of
    every size, which those of ANY_SIZE can. Raises UserError for a name or a size that cannot be.
    """
    if name not in MODELS:
        raise UserError(f"model: expected one of {list(MODELS)}; received {name!r}")
    network = MODELS[name]
    if min(image_size) < network.smallest_side:
        raise UserError(
            f"image_size: {name} needs sides of at least {network.smallest_side} pixels; "
            f"received {list(image_size)}"
        )
    return network.build((None, None) if any_size else tuple(image_size), label_count)


def vgg(image_size, label_count):
    """The network of the first original, layer for layer: a stripped VGG16.

    Source: Simonyan and Zisserman 2014 for the plan; 6,029,441 parameters at 141 x 141. Its first
    weights are He's, for without batch norm Keras's own let it wait for epochs before it learns.
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
            _dense(256, "dense1"),
            _dense(256, "dense2"),
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


def keras_cnn(image_size, label_count):
    """The Keras network of the second original, layer for layer.

    826,529 parameters at 128 x 128.
    """
    network = keras.Sequential([keras.Input((*image_size, 3), name="image")], name="keras_cnn")
    for block, (filters, rate) in enumerate(((16, 0.2), (32, 0.3), (64, 0.3)), start=1):
        network.add(_conv(filters, f"block{block}_conv"))
        network.add(keras.layers.MaxPooling2D(name=f"block{block}_pool"))  # 63, 30, 14
        network.add(keras.layers.Dropout(rate, name=f"block{block}_dropout"))
    network.add(keras.layers.Flatten(name="flatten"))  # 12544
    network.add(_dense(64, "dense"))
    network.add(keras.layers.Dropout(0.5, name="dropout"))
    network.add(_output(label_count))
    return network


def xresnet34(image_size, label_count):
    """The FastAI network of the second original, detail for detail.

    He et al. 2019 ("bag of tricks") for the stem and the shortcuts, fastai for the head and the
    first weights; 21,832,288 trainable parameters at any size of image, with two labels.
    """
    image = keras.Input((*image_size, 3), name="image")  # 224 x 224 x 3
    maps = image
    for number, (filters, stride) in enumerate(((32, 2), (32, 1), (64, 1)), start=1):
        maps = _fast_conv(maps, filters, f"stem{number}", stride=stride, activate=True)
    maps = keras.layers.ZeroPadding2D(1, name="stem_pad")(maps)
    maps = keras.layers.MaxPooling2D(3, strides=2, name="stem_pool")(maps)  # 56 x 56 x 64
    for stage, (filters, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), start=1):
        for block in range(1, blocks + 1):
            halves = stage > 1 and block == 1
            maps = _fast_block(maps, filters, f"stage{stage}_block{block}", halves=halves)
    pooled = [
        keras.layers.GlobalMaxPooling2D(name="head_maximum")(maps),
        keras.layers.GlobalAveragePooling2D(name="head_average")(maps),
    ]
    features = keras.layers.Concatenate(name="head_pooled")(pooled)  # 1024
    features = _fast_norm(features, "head_norm1", beta=1e-3)
    features = keras.layers.Dropout(0.25, name="head_dropout1")(features)
    features = _fast_dense(512, "head_dense", activation="relu")(features)
    features = _fast_norm(features, "head_norm2", beta=1e-3)
    features = keras.layers.Dropout(0.5, name="head_dropout2")(features)
    output = _fast_dense(label_count, "probability", activation="softmax", dtype="float32")
    return keras.Model(image, output(features), name="xresnet34")


def _fast_block(maps, filters, name, *, halves):
    """A residual block; one that `halves` the size does so in its first convolution."""
    residue = _fast_conv(maps, filters, f"{name}_a", stride=1 + halves, activate=True)
    # A gamma of zero: at first each block passes on what it receives.
    residue = _fast_conv(residue, filters, f"{name}_b", gamma="zeros")
    if halves:
        # The same as PyTorch's ceil_mode: at an odd edge the mean of those that are there.
        pool = keras.layers.AveragePooling2D(2, padding="same", name=f"{name}_shortcut_pool")
        maps = _fast_conv(pool(maps), filters, f"{name}_shortcut", side=1)
    maps = keras.layers.Add(name=f"{name}_add")([maps, residue])
    return keras.layers.ReLU(name=f"{name}_relu")(maps)


def _fast_conv(maps, filters, name, *, side=3, stride=1, gamma="ones", activate=False):
    """Convolution as PyTorch pads it, and batch norm; ReLU where `activate`."""
    if stride > 1:
        # Keras's "same" would pad an even size on one edge only.
        maps = keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(maps)
    maps = keras.layers.Conv2D(
        filters,
        side,
        strides=stride,
        padding="same" if stride == 1 else "valid",
        use_bias=False,
        kernel_initializer=_fast_start(),
        name=name,
    )(maps)
    maps = _fast_norm(maps, f"{name}_norm", gamma=gamma)
    return keras.layers.ReLU(name=f"{name}_relu")(maps) if activate else maps


def _fast_norm(maps, name, gamma="ones", beta=0.0):
    """Batch norm with fastai's constants; it sets beta to zero in the body only."""
    return keras.layers.BatchNormalization(
        momentum=0.9,
        epsilon=1e-5,
        gamma_initializer=gamma,
        beta_initializer=keras.initializers.Constant(beta),
        name=name,
    )(maps)


def _fast_dense(units, name, **settings):
    return keras.layers.Dense(
        units, use_bias=False, kernel_initializer=_fast_start(), name=name, **settings
    )


def _fast_start():
    """Kaiming-normal by fan-in, not truncated (He et al. 2015)."""
    return keras.initializers.VarianceScaling(2.0, "fan_in", "untruncated_normal")


def _conv_norm(maps, filters, name):
    """Convolution, batch norm and ReLU, at the same size."""
    maps = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False, name=name)(maps)
    # Keras's momentum of .99 would take hundreds of steps to know the data.
    maps = keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(maps)
    return keras.layers.ReLU(name=f"{name}_relu")(maps)


def _conv(filters, name):
    return keras.layers.Conv2D(
        filters, 3, activation="relu", kernel_initializer="he_normal", name=name
    )


def _dense(units, name):
    return keras.layers.Dense(units, activation="relu", kernel_initializer="he_normal", name=name)


def _output(label_count):
    """The last layer; always float32, since half precision cannot hold a small probability."""
    units, activation = (1, "sigmoid") if label_count == 2 else (label_count, "softmax")
    return keras.layers.Dense(units, activation=activation, dtype="float32", name="probability")


MODELS = {
    "vgg": Network(vgg, smallest_side=42),
    "compact": Network(compact, smallest_side=16),
    "keras_cnn": Network(keras_cnn, smallest_side=22),
    "xresnet34": Network(xresnet34, smallest_side=1),
}
