"""vocabulary: the layers that a saved network may name; whoever wrote it, nothing else is built.

A file may come from a stranger. A class that is not in this table could run code of its own.
"""

from collections.abc import Callable, Iterable
from operator import add, mul, sub, truediv
from typing import Any

from malaria.base.errors import UserError
from malaria.base.text import quote
from malaria.networks.backend import keras
from malaria.saved.pair import Architecture

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
# Arithmetic with a number, as `preprocess_input` of some networks leaves it in the graph.
ARITHMETIC = ("TrueDivide", "Subtract", "Multiply", "Add")
ARITHMETIC_MODULE = "keras.src.ops.numpy"
# Without hard_sigmoid: Keras 3 computes another function under that name.
ACTIVATIONS = (
    *("linear", "relu", "relu6", "elu", "selu", "gelu", "silu", "swish", "exponential"),
    *("sigmoid", "softmax", "softplus", "softsign", "tanh"),
)
# The classes, beside the layers above, of what the settings of a layer may hold.
CLASSES = (
    *("InputLayer", "__keras_tensor__", "DTypePolicy", "Policy", "L1", "L2", "L1L2"),
    *("MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm", "Zeros", "Ones", "Constant", "Identity"),
    *("RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling", "Orthogonal"),
    *("GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "LecunNormal", "LecunUniform"),
)
NETWORKS = ("Sequential", "Functional", "Model")
# The modules of Keras's own classes, as Keras 2 and Keras 3 write them; a class of another module
# only has the same name.
MODULES = (
    *(None, "keras", "keras.layers", "keras.models", "keras.initializers", "keras.regularizers"),
    *("keras.constraints", "keras.mixed_precision", "keras.src.models.functional"),
    *("keras.src.models.sequential", "keras.engine.functional", "keras.engine.sequential"),
    *("keras.src.engine.functional", "keras.src.engine.sequential"),
    *("tf_keras.src.engine.functional", "tf_keras.src.engine.sequential"),
)
# The JSON that Keras writes is at most 15 levels deep.
MAX_DEPTH = 40


# Of tensors and numbers, by the names of Keras 3 and of Keras 2.
OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    **{"TrueDivide": truediv, "Subtract": sub, "Multiply": mul, "Add": add},
    **{"math.truediv": truediv, "math.subtract": sub, "math.multiply": mul, "math.add": add},
    "__operators__.add": add,
}
KNOWN = (*LAYERS, *ONLY_TRAINING, *ARITHMETIC, *CLASSES, *NETWORKS, "TFOpLambda")


def check_architecture(architecture: Architecture) -> None:
    """Raise UserError unless the network consists of plain layers; for Keras 2 and Keras 3.

    architecture: what the .json says, without our own metadata.
    """
    _check_object(architecture, NETWORKS, expected="a Sequential or Functional network")
    _check_parts(architecture.get("config"), depth=1)


def _check_parts(node: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise UserError(f"nested more than {MAX_DEPTH} deep: no architecture")
    if isinstance(node, dict):
        if "class_name" in node:
            _check_object(node, KNOWN, expected="plain Keras layers")
        for key, value in node.items():
            _check_words(key, value)
    for child in _children(node):
        _check_parts(child, depth + 1)


def _children(node: Any) -> Iterable[Any]:
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()


def _check_object(node: dict[str, Any], known: tuple[str, ...], expected: str) -> None:
    name, module = node.get("class_name"), node.get("module")
    if name not in known:
        raise UserError(
            f"expected {expected}, received the class {quote(name)}; "
            "others could run code of their own, so nothing was built"
        )
    if module == ARITHMETIC_MODULE and name in ARITHMETIC:
        return
    if name == "TFOpLambda":
        _check_operation(node)
        return
    if module not in MODULES or node.get("registered_name") not in (None, name):
        whose = module if module not in MODULES else node["registered_name"]
        raise UserError(f"expected Keras's own {name}, received one of {quote(whose)}")
    if len(node.get("inbound_nodes") or ()) > 1:
        raise UserError(f"the layer {quote(node.get('name'))} is used more than once")


def _check_operation(node: dict[str, Any]) -> None:
    """Raise UserError unless this is one of OPERATIONS, which is how Keras 2 wrote arithmetic."""
    function = (node.get("config") or {}).get("function")
    if function not in OPERATIONS:
        raise UserError(
            f"expected plain Keras layers, received the operation {quote(function)}; others could "
            "run code of their own, so nothing was built"
        )


def _check_words(key: str, value: Any) -> None:
    """Raise UserError for an activation or an order of axes that is not known here."""
    if key == "activation" and value is not None and value not in ACTIVATIONS:
        raise UserError(f"the activation {quote(value)} is not among {', '.join(ACTIVATIONS)}")
    if key == "data_format" and value not in (None, "channels_last"):
        raise UserError(f"expected data_format channels_last, received {quote(value)}")
