"""xresnet34: the FastAI network of the second original."""

from typing import Any

from malaria.networks.backend import keras, tf


def xresnet34(image_size: tuple[int | None, int | None], label_count: int) -> keras.Model:
    """The FastAI network of the second original, detail for detail.

    He et al. 2019 ("bag of tricks") for the stem and the shortcuts, fastai for the head and the
    first weights; 21,832,288 trainable parameters at any size of image, with two labels.
    """
    image = keras.Input((*image_size, 3), name="image")  # 224 x 224 x 3
    maps = image
    for number, (filters, stride) in enumerate(((32, 2), (32, 1), (64, 1)), start=1):
        maps = _conv(maps, filters, f"stem{number}", stride=stride, activate=True)
    maps = keras.layers.ZeroPadding2D(1, name="stem_pad")(maps)
    maps = keras.layers.MaxPooling2D(3, strides=2, name="stem_pool")(maps)  # 56 x 56 x 64
    for stage, (filters, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), start=1):
        for block in range(1, blocks + 1):
            halves = stage > 1 and block == 1
            maps = _block(maps, filters, f"stage{stage}_block{block}", halves=halves)
    pooled = [
        keras.layers.GlobalMaxPooling2D(name="head_maximum")(maps),
        keras.layers.GlobalAveragePooling2D(name="head_average")(maps),
    ]
    features = keras.layers.Concatenate(name="head_pooled")(pooled)  # 1024
    features = _norm(features, "head_norm1", beta=1e-3)
    features = keras.layers.Dropout(0.25, name="head_dropout1")(features)
    features = _dense(512, "head_dense", activation="relu")(features)
    features = _norm(features, "head_norm2", beta=1e-3)
    features = keras.layers.Dropout(0.5, name="head_dropout2")(features)
    output = _dense(label_count, "probability", activation="softmax", dtype="float32")
    return keras.Model(image, output(features), name="xresnet34")


def _block(maps: tf.Tensor, filters: int, name: str, *, halves: bool) -> tf.Tensor:
    """A residual block; one that `halves` the size does so in its first convolution."""
    residue = _conv(maps, filters, f"{name}_a", stride=1 + halves, activate=True)
    # A gamma of zero: at first each block passes on what it receives.
    residue = _conv(residue, filters, f"{name}_b", gamma="zeros")
    if halves:
        # The same as PyTorch's ceil_mode: at an odd edge the mean of those that are there.
        pool = keras.layers.AveragePooling2D(2, padding="same", name=f"{name}_shortcut_pool")
        maps = _conv(pool(maps), filters, f"{name}_shortcut", side=1)
    maps = keras.layers.Add(name=f"{name}_add")([maps, residue])
    return keras.layers.ReLU(name=f"{name}_relu")(maps)


def _conv(
    maps: tf.Tensor,
    filters: int,
    name: str,
    *,
    side: int = 3,
    stride: int = 1,
    gamma: str = "ones",
    activate: bool = False,
) -> tf.Tensor:
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
        kernel_initializer=_start(),
        name=name,
    )(maps)
    maps = _norm(maps, f"{name}_norm", gamma=gamma)
    return keras.layers.ReLU(name=f"{name}_relu")(maps) if activate else maps


def _norm(maps: tf.Tensor, name: str, gamma: str = "ones", beta: float = 0.0) -> tf.Tensor:
    """Batch norm with fastai's constants; it sets beta to zero in the body only."""
    return keras.layers.BatchNormalization(
        momentum=0.9,
        epsilon=1e-5,
        gamma_initializer=gamma,
        beta_initializer=keras.initializers.Constant(beta),
        name=name,
    )(maps)


def _dense(units: int, name: str, **settings: Any) -> keras.layers.Layer:
    return keras.layers.Dense(
        units, use_bias=False, kernel_initializer=_start(), name=name, **settings
    )


def _start() -> keras.initializers.Initializer:
    """Kaiming-normal by fan-in, not truncated (He et al. 2015)."""
    return keras.initializers.VarianceScaling(2.0, "fan_in", "untruncated_normal")
