"""vocabulary: the layers that a saved network may name; whoever wrote it, nothing else is built.

A file may come from a stranger. A class that is not in this table could run code of its own.
"""

from collections.abc import Callable
from operator import add, mul, sub, truediv
from typing import Any

from malaria.networks.backend import keras

layers = keras.layers

_CONVOLUTION = (
    *("kernel_size", "strides", "padding", "data_format"),
    *("dilation_rate", "activation", "use_bias"),
)
_POOLING = ("pool_size", "strides", "padding", "data_format")
_GLOBAL_POOLING = ("data_format", "keepdims")
_NORMALIZATION = ("axis", "momentum", "epsilon", "center", "scale")
_RESIZING = ("interpolation", "crop_to_aspect_ratio", "fill_mode")
_UPSAMPLING = ("size", "data_format", "interpolation")

# Class name: the Keras 3 layer, and the settings that decide what it computes.
LAYERS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "Conv2D": (layers.Conv2D, ("filters", "groups", *_CONVOLUTION)),
    "DepthwiseConv2D": (layers.DepthwiseConv2D, ("depth_multiplier", *_CONVOLUTION)),
    "SeparableConv2D": (layers.SeparableConv2D, ("filters", "depth_multiplier", *_CONVOLUTION)),
    "MaxPooling2D": (layers.MaxPooling2D, _POOLING),
    "AveragePooling2D": (layers.AveragePooling2D, _POOLING),
    "GlobalMaxPooling2D": (layers.GlobalMaxPooling2D, _GLOBAL_POOLING),
    "GlobalAveragePooling2D": (layers.GlobalAveragePooling2D, _GLOBAL_POOLING),
    "ZeroPadding2D": (layers.ZeroPadding2D, ("padding", "data_format")),
    "Dense": (layers.Dense, ("units", "activation", "use_bias")),
    "BatchNormalization": (layers.BatchNormalization, _NORMALIZATION),
    "BatchNormalizationV1": (layers.BatchNormalization, _NORMALIZATION),
    "Rescaling": (layers.Rescaling, ("scale", "offset")),
    "Activation": (layers.Activation, ("activation",)),
    "ReLU": (layers.ReLU, ("max_value", "negative_slope", "threshold")),
    "LeakyReLU": (layers.LeakyReLU, ("negative_slope",)),
    "Softmax": (layers.Softmax, ("axis",)),
    "Dropout": (layers.Dropout, ("rate",)),
    "SpatialDropout2D": (layers.SpatialDropout2D, ("rate", "data_format")),
    "Flatten": (layers.Flatten, ("data_format",)),
    "Reshape": (layers.Reshape, ("target_shape",)),
    "Add": (layers.Add, ()),
    "Multiply": (layers.Multiply, ()),
    "Subtract": (layers.Subtract, ()),
    "Average": (layers.Average, ()),
    "Maximum": (layers.Maximum, ()),
    "Minimum": (layers.Minimum, ()),
    "Concatenate": (layers.Concatenate, ("axis",)),
    "Cropping2D": (layers.Cropping2D, ("cropping", "data_format")),
    "UpSampling2D": (layers.UpSampling2D, _UPSAMPLING),
    "LayerNormalization": (layers.LayerNormalization, ("axis", "epsilon", "center", "scale")),
    "Normalization": (layers.Normalization, ("axis", "invert")),
    "Resizing": (layers.Resizing, ("height", "width", "data_format", *_RESIZING)),
    "ELU": (layers.ELU, ("alpha",)),
    "PReLU": (layers.PReLU, ("shared_axes",)),
}
# Layers that change nothing but while training: the augmentation that some put into a network.
ONLY_TRAINING = (
    *("RandomFlip", "RandomRotation", "RandomZoom", "RandomContrast", "RandomTranslation"),
    *("RandomBrightness", "RandomHeight", "RandomWidth", "GaussianNoise", "GaussianDropout"),
    *("AlphaDropout", "ActivityRegularization"),
)
# Without hard_sigmoid: Keras 3 computes another function under that name.
ACTIVATIONS = (
    *("linear", "relu", "relu6", "elu", "selu", "gelu", "silu", "swish", "exponential"),
    *("sigmoid", "softmax", "softplus", "softsign", "tanh"),
)
NETWORKS = ("Sequential", "Functional", "Model")
# The modules of Keras's own classes, as Keras 2 and Keras 3 write them; a class of another module
# only has the same name.
MODULES = (
    *(None, "keras", "keras.layers", "keras.models", "keras.src.models.functional"),
    *("keras.src.models.sequential", "keras.engine.functional", "keras.engine.sequential"),
    *("keras.src.engine.functional", "keras.src.engine.sequential"),
    *("tf_keras.src.engine.functional", "tf_keras.src.engine.sequential"),
)
# Arithmetic of tensors and numbers, as `preprocess_input` of some networks leaves it in the graph,
# by the names of Keras 3 and of Keras 2.
OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    **{"TrueDivide": truediv, "Subtract": sub, "Multiply": mul, "Add": add},
    **{"math.truediv": truediv, "math.subtract": sub, "math.multiply": mul, "math.add": add},
    "__operators__.add": add,
}
OPERATIONS_MODULE = "keras.src.ops.numpy"
