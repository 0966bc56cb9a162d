"""efficientnet_lite0: a network for which there are weights learnt on ImageNet."""

from typing import Any

from malaria.networks.backend import keras, tf
from malaria.networks.blocks import output

# (width of the depthwise kernel, stride of the first block, filters, blocks) of each stage.
STAGES = (
    *((3, 1, 16, 1), (3, 2, 24, 2), (5, 2, 40, 2), (3, 2, 80, 3)),
    *((5, 1, 112, 3), (5, 2, 192, 4), (3, 1, 320, 1)),
)


def efficientnet_lite0(image_size: tuple[int | None, int | None], label_count: int) -> keras.Model:
    """EfficientNet-Lite0: EfficientNet-B0 without squeeze-and-excite, with ReLU6 for swish.

    Source: Tan and Le 2019; "EfficientNet-Lite", Renjie Liu 2020, whose numbers these are but for
    the momentum of the norms, and without stochastic depth. 3,372,289 trainable parameters at any
    size of image, with two labels. benchmarks/imagenet_weights.py makes a pair of its ImageNet
    weights (Apache 2.0), for `init_weights`.
    """
    image = keras.Input((*image_size, 3), name="image")  # 224 x 224 x 3
    # The grey levels 0..255 minus 127, over 128, as the ImageNet weights were learnt.
    maps = keras.layers.Rescaling(255 / 128, -127 / 128, name="levels")(image)
    maps = _conv_norm(maps, 32, "stem", side=3, stride=2)  # 112 x 112 x 32
    for stage, (side, stride, filters, blocks) in enumerate(STAGES, start=1):
        for block in range(1, blocks + 1):
            name = f"stage{stage}_block{block}"
            maps = _block(maps, filters, name, side=side, stride=stride if block == 1 else 1)
    # 7 x 7 x 320
    maps = _conv_norm(maps, 1280, "stage8")
    features = keras.layers.GlobalAveragePooling2D(name="average")(maps)
    features = keras.layers.Dropout(0.2, name="dropout")(features)
    return keras.Model(image, output(label_count)(features), name="efficientnet_lite0")


def _block(maps: tf.Tensor, filters: int, name: str, *, side: int, stride: int) -> tf.Tensor:
    """Widened, each channel filtered for itself, and narrowed; added to `maps` where that fits."""
    channels, residue = maps.shape[-1], maps
    if not name.startswith("stage1"):
        residue = _conv_norm(maps, 6 * channels, f"{name}_expand")
    depthwise = keras.layers.DepthwiseConv2D(
        side, strides=stride, depthwise_initializer=_start(), **_plain(f"{name}_depthwise")
    )
    residue = _norm(depthwise(residue), f"{name}_depthwise")
    residue = _conv_norm(residue, filters, f"{name}_project", activate=False)
    if stride > 1 or channels != filters:
        return residue
    return keras.layers.Add(name=f"{name}_add")([maps, residue])


def _conv_norm(
    maps: tf.Tensor,
    filters: int,
    name: str,
    *,
    side: int = 1,
    stride: int = 1,
    activate: bool = True,
) -> tf.Tensor:
    """Convolution and batch norm; ReLU6 where `activate`."""
    conv = keras.layers.Conv2D(
        filters, side, strides=stride, kernel_initializer=_start(), **_plain(name)
    )
    return _norm(conv(maps), name, activate=activate)


def _norm(maps: tf.Tensor, name: str, *, activate: bool = True) -> tf.Tensor:
    # Of the source, the momentum is .99, which would take hundreds of steps to know the data.
    norm = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-3, name=f"{name}_norm")
    maps = norm(maps)
    return keras.layers.ReLU(6, name=f"{name}_relu")(maps) if activate else maps


def _plain(name: str) -> dict[str, Any]:
    """The settings of every convolution: TensorFlow's padding, and no bias before a norm."""
    return {"padding": "same", "use_bias": False, "name": name}


def _start() -> keras.initializers.Initializer:
    """Normal by fan-out, not truncated, as in the source."""
    return keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
