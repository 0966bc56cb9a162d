"""rebuild: a network from the architecture that Keras 2 or Keras 3 wrote.

Keras 3 cannot read the form of Keras 2 ("could not locate class 'Sequential'"), and what a stranger
sends is not given to its reader at all: only what vocabulary.py lists is built, and built here.
"""

import inspect
from collections.abc import Container
from typing import Any

from malaria.base.errors import UserError
from malaria.base.text import quote
from malaria.networks.backend import keras
from malaria.networks.vocabulary import (
    ACTIVATIONS,
    LAYERS,
    MODULES,
    NETWORKS,
    ONLY_TRAINING,
    OPERATIONS,
    OPERATIONS_MODULE,
)
from malaria.saved.pair import Architecture

# XResNet34 has 138.
MAX_LAYERS = 1000
# Settings that matter only for training, or that are read in another place.
_DROPPED = (
    *("name", "trainable", "dtype", "batch_input_shape", "batch_shape", "noise_shape", "seed"),
    *("synchronized", "mean", "variance", "input_dtype", "autocast"),
    *("renorm_momentum", "renorm_clipping"),
)
_DROPPED_ENDINGS = ("_initializer", "_regularizer", "_constraint")


def rebuild(architecture: Architecture) -> keras.Model:
    """The network, in float32, with new weights and the old layer names.

    architecture: of a Sequential, whose config is a dict or, as in 2018, only a list of layers; or
    of a Functional in which no layer is used twice; both may hold others. Raises UserError for a
    layer or a setting that is not in the table; KeyError, TypeError and the like for a JSON that is
    not complete.
    """
    _check_class(architecture, NETWORKS, "a Sequential or Functional network")
    config = architecture["config"]
    entries = config["layers"] if isinstance(config, dict) else config
    if len(entries) > MAX_LAYERS:
        raise UserError(f"expected at most {MAX_LAYERS} layers, received {len(entries)}")
    if architecture["class_name"] != "Sequential":
        return _functional(config)
    start = [] if _shape_of(entries[0]) is None else [_input(entries[0])]
    hidden = entries[1:] if entries[0]["class_name"] == "InputLayer" else entries
    name = config.get("name") if isinstance(config, dict) else None
    return keras.Sequential([*start, *map(_layer, hidden)], name=name)


def _functional(config: dict[str, Any]) -> keras.Model:
    tensors: dict[str, Any] = {}
    for entry in config["layers"]:
        name = entry["name"]
        if entry["class_name"] == "InputLayer":
            tensors[name] = _input(entry)
        elif _is_arithmetic(entry):
            tensors[name] = _compute(entry, tensors)
        else:
            layer = _layer(entry)
            sources = [tensors[source] for source in _sources(entry)]
            tensors[name] = layer(sources if len(sources) > 1 else sources[0])
    [[start, *_]], [[end, *_]] = _ends(config["input_layers"]), _ends(config["output_layers"])
    return keras.Model(tensors[start], tensors[end], name=config["name"])


def _ends(layers: list[Any]) -> list[Any]:
    """[[name, 0, 0], ...]; Keras 3 leaves out the outer brackets of a single one."""
    return [layers] if isinstance(layers[0], str) else layers


def _sources(entry: dict[str, Any]) -> list[str]:
    """The names of the layers whose output this one takes.

    From [[[name, 0, 0, {}], ...]] of Keras 2, or [{"args": [tensors], "kwargs": {}}] of Keras 3.
    """
    [node] = entry["inbound_nodes"]
    if isinstance(node, dict):
        [tensors] = node["args"]
        tensors = tensors if isinstance(tensors, list) else [tensors]
        return [tensor["config"]["keras_history"][0] for tensor in tensors]
    # Which call of a layer does not matter: a network within another counts its own as the first.
    # Nor does it how the layer was called while training.
    for _, _, tensor, *settings in node:
        if tensor != 0 or any(set(named) - {"training"} for named in settings):
            raise UserError(
                f"the layer {quote(entry['name'])} reads a layer in a way not known here"
            )
    return [name for name, *_ in node]


def _is_arithmetic(entry: dict[str, Any]) -> bool:
    """True for an operation on two tensors or numbers, which is no layer."""
    [node, *_] = entry["inbound_nodes"]
    has_two = isinstance(node, dict) and len(node["args"]) == 2
    return entry["class_name"] == "TFOpLambda" or (
        has_two and entry.get("module") in (None, OPERATIONS_MODULE)
    )


def _compute(entry: dict[str, Any], tensors: dict[str, Any]) -> Any:
    [node] = entry["inbound_nodes"]
    if isinstance(node, dict):
        name = entry["class_name"]
        operands = [
            tensors[one["config"]["keras_history"][0]] if isinstance(one, dict) else one
            for one in node["args"]
        ]
    else:
        source, *_, settings = node
        name, operands = entry["config"]["function"], [tensors[source], settings["y"]]
    if name not in OPERATIONS:
        raise UserError(f"expected plain Keras layers, received the operation {quote(name)}")
    if not all(isinstance(one, (int, float, keras.KerasTensor)) for one in operands):
        raise UserError(f"the operation {quote(entry['name'])} takes more than tensors and numbers")
    return OPERATIONS[name](*operands)


def _shape_of(entry: dict[str, Any]) -> Any:
    return entry["config"].get("batch_input_shape") or entry["config"].get("batch_shape")


def _input(entry: dict[str, Any]) -> Any:
    """The input of the network, (None, height, width, channels), as its first layer asks for it.

    entry: of an InputLayer, or of the first layer of a Sequential without one.
    """
    # The name of another first layer is needed for that layer itself.
    name = entry["config"]["name"] if entry["class_name"] == "InputLayer" else None
    return keras.Input(batch_shape=_shape_of(entry), dtype="float32", name=name)


def _layer(entry: dict[str, Any]) -> keras.layers.Layer:
    class_name, config = entry["class_name"], entry["config"]
    if class_name in NETWORKS:
        layer = rebuild(entry)
    else:
        _check_class(entry, (*LAYERS, *ONLY_TRAINING), "plain Keras layers")
        layer = _plain_layer(class_name, config)
    # Files list the weights of a part that was frozen in another order.
    if isinstance(config, dict) and config.get("trainable") is False:
        layer.trainable = False
    return layer


def _check_class(entry: dict[str, Any], known: Container[Any], expected: str) -> None:
    """Raise UserError unless this is a known class of Keras's own, used once."""
    name, module, registered = map(entry.get, ("class_name", "module", "registered_name"))
    if name not in known:
        raise UserError(
            f"expected {expected}, received the class {quote(name)}; others could run code of "
            "their own"
        )
    if module not in MODULES or registered not in (None, name):
        whose = registered if module in MODULES else module
        raise UserError(f"expected Keras's own {name}, received one of {quote(whose)}")
    if len(entry.get("inbound_nodes") or ()) > 1:
        raise UserError(f"the layer {quote(entry.get('name'))} is used more than once")


def _plain_layer(class_name: str, config: dict[str, Any]) -> keras.layers.Layer:
    if class_name in ONLY_TRAINING:
        return keras.layers.Identity(dtype="float32", name=config["name"])
    layer = getattr(keras.layers, class_name.removesuffix("V1"))
    known = inspect.signature(layer).parameters
    settings = {
        key: value
        for key, value in config.items()
        if key not in _DROPPED and not key.endswith(_DROPPED_ENDINGS)
    }
    if class_name == "LeakyReLU" and "alpha" in settings:  # as Keras 2 calls it
        settings["negative_slope"] = settings.pop("alpha")
    for key, value in settings.items():
        _check_setting(key, value, known, class_name)
    axis = settings.get("axis")
    if isinstance(axis, list) and len(axis) == 1:
        # Keras 2 wrote the axis of a BatchNormalization as a list of one.
        [settings["axis"]] = axis
    kept = {key: value for key, value in settings.items() if key in known}
    return layer(**kept, dtype="float32", name=config["name"])


def _check_setting(key: str, value: Any, known: Container[str], class_name: str) -> None:
    # An unknown setting that is switched on could change what the layer computes. "groups" may be
    # 1: Keras 2 wrote it also for layers that have no groups.
    if key not in known and value not in (None, False) and (key, value) != ("groups", 1):
        raise UserError(f"the setting {quote(key)} of {class_name} is not among those known")
    if key == "activation" and value not in (None, *ACTIVATIONS):
        raise UserError(f"the activation {quote(value)} is not among {', '.join(ACTIVATIONS)}")
    if key == "data_format" and value not in (None, "channels_last"):
        raise UserError(f"expected data_format channels_last, received {quote(value)}")
    if not _is_plain(value):
        raise UserError(f"the setting {quote(key)} of {class_name} is no number or word")


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))
