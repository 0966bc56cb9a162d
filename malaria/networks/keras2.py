"""keras2: check the architecture JSON of any Keras, and rebuild a network from that of Keras 2.

Keras 3 cannot read the form of Keras 2 ("could not locate class 'Sequential'"). The table LAYERS
holds all the layers that a file of either version may name, since it may come from a stranger.
"""

from collections.abc import Iterable
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
    "Concatenate": (layers.Concatenate, ("axis",)),
}
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
# Keras imports the module that a file names, so only these may be named, letter for letter. Keras 2
# wrote some of them too.
MODULES = (
    *(None, "keras", "keras.layers", "keras.models", "keras.initializers", "keras.regularizers"),
    *("keras.constraints", "keras.mixed_precision", "keras.src.models.functional"),
)
# The JSON that Keras writes is at most 15 levels deep.
MAX_DEPTH = 40
# Settings that matter only for training, or that are read in another place.
_DROPPED = ("name", "trainable", "dtype", "batch_input_shape", "noise_shape", "seed")
_DROPPED_ENDINGS = ("_initializer", "_regularizer", "_constraint")
_RENAMED = {"alpha": "negative_slope"}


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
            _check_object(node, (*LAYERS, *CLASSES), expected="plain Keras layers")
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
    if module not in MODULES or node.get("registered_name") not in (None, name):
        whose = module if module not in MODULES else node["registered_name"]
        raise UserError(f"expected Keras's own {name}, received one of {quote(whose)}")
    if len(node.get("inbound_nodes") or ()) > 1:
        raise UserError(f"the layer {quote(node.get('name'))} is used more than once")


def _check_words(key: str, value: Any) -> None:
    """Raise UserError for an activation or an order of axes that is not known here."""
    if key == "activation" and value is not None and value not in ACTIVATIONS:
        raise UserError(f"the activation {quote(value)} is not among {', '.join(ACTIVATIONS)}")
    if key == "data_format" and value not in (None, "channels_last"):
        raise UserError(f"expected data_format channels_last, received {quote(value)}")


def is_keras2(architecture: Architecture) -> bool:
    """Whether Keras 2 wrote this; only Keras 3 names a module beside the outermost class."""
    return "module" not in architecture


def rebuild(architecture: Architecture) -> keras.Model:
    """The network of a Keras 2 JSON, in float32, with new weights and the old layer names.

    architecture: of a Sequential, whose config is a dict or, as in 2018, only a list of layers; or
    of a Functional in which no layer is used twice. Call `check_architecture` first. Raises
    UserError for a layer or a setting that is not in the table LAYERS; KeyError, TypeError and the
    like for a JSON that is not complete.
    """
    class_name, config = architecture["class_name"], architecture["config"]
    return _sequential(config) if class_name == "Sequential" else _functional(config)


def _sequential(config: Any) -> keras.Model:
    name = config.get("name") if isinstance(config, dict) else None
    entries = config["layers"] if isinstance(config, dict) else config
    hidden = entries[1:] if entries[0]["class_name"] == "InputLayer" else entries
    return keras.Sequential([_input(entries[0]), *map(_layer, hidden)], name=name)


def _functional(config: dict[str, Any]) -> keras.Model:
    tensors: dict[str, Any] = {}
    for entry in config["layers"]:
        if entry["class_name"] == "InputLayer":
            tensors[entry["name"]] = _input(entry)
        else:
            sources = [tensors[name] for name in _sources(entry)]
            tensors[entry["name"]] = _layer(entry)(sources if len(sources) > 1 else sources[0])
    [[start, *_]], [[end, *_]] = config["input_layers"], config["output_layers"]
    return keras.Model(tensors[start], tensors[end], name=config["name"])


def _sources(entry: dict[str, Any]) -> list[str]:
    """The names of the layers whose output this one takes, from [[[name, 0, 0, {}], ...]]."""
    [node] = entry["inbound_nodes"]
    if any(any(rest) for _, *rest in node):
        raise UserError(f"the layer {quote(entry['name'])} reads a layer in a way not known here")
    return [name for name, *_ in node]


def _input(entry: dict[str, Any]) -> Any:
    """The input of the network, (None, height, width, channels), as its first layer asks for it.

    entry: of an InputLayer, or of the first layer of a Sequential without one.
    """
    config = entry["config"]
    # The name of another first layer is needed for that layer itself.
    name = config["name"] if entry["class_name"] == "InputLayer" else None
    return keras.Input(config["batch_input_shape"][1:], dtype="float32", name=name)


def _layer(entry: dict[str, Any]) -> keras.layers.Layer:
    class_name, config = entry["class_name"], entry["config"]
    if class_name not in LAYERS:
        raise UserError(f"the layer class {quote(class_name)} is not among those known")
    layer, known = LAYERS[class_name]
    settings = {_RENAMED.get(key, key): value for key, value in config.items() if _matters(key)}
    for key, value in settings.items():
        _check_setting(key, value, known, class_name)
    if isinstance(settings.get("axis"), list):
        # Keras 2 wrote the axis of a BatchNormalization as a list of one.
        [settings["axis"]] = settings["axis"]
    kept = {key: settings[key] for key in known if key in settings}
    return layer(**kept, dtype="float32", name=config["name"])


def _matters(key: str) -> bool:
    return key not in _DROPPED and not key.endswith(_DROPPED_ENDINGS)


def _check_setting(key: str, value: Any, known: tuple[str, ...], class_name: str) -> None:
    # An unknown setting that is switched on could change what the layer computes. "groups" may be
    # 1: Keras 2 wrote it also for layers that have no groups.
    if key not in known and value not in (None, False) and (key, value) != ("groups", 1):
        raise UserError(f"the setting {quote(key)} of {class_name} is not among those known")
    if not _is_plain(value):
        raise UserError(f"the setting {quote(key)} of {class_name} is no number or word")
    _check_words(key, value)


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))
