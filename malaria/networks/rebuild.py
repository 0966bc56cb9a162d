"""rebuild: a network from the architecture that Keras 2 or Keras 3 wrote.

Keras 3 cannot read the form of Keras 2 ("could not locate class 'Sequential'"), and what a stranger
sends is not given to its reader at all: only what vocabulary.py lists is built, and built here.
"""

from typing import Any

from malaria.base.errors import UserError
from malaria.base.text import quote
from malaria.networks.backend import keras
from malaria.networks.vocabulary import (
    ARITHMETIC,
    LAYERS,
    NETWORKS,
    ONLY_TRAINING,
    OPERATIONS,
)
from malaria.saved.pair import Architecture

# Settings that matter only for training, or that are read in another place.
_DROPPED = (
    *("name", "trainable", "dtype", "batch_input_shape", "batch_shape", "noise_shape", "seed"),
    *("synchronized", "mean", "variance", "input_dtype", "autocast"),
    *("renorm_momentum", "renorm_clipping"),
)
_DROPPED_ENDINGS = ("_initializer", "_regularizer", "_constraint")
_RENAMED = {"alpha": "negative_slope"}


def rebuild(architecture: Architecture) -> keras.Model:
    """The network, in float32, with new weights and the old layer names.

    architecture: of a Sequential, whose config is a dict or, as in 2018, only a list of layers; or
    of a Functional in which no layer is used twice; both may hold others. Call check_architecture
    first. Raises UserError for a layer or a setting that is not in the table; KeyError, TypeError
    and the like for a JSON that is not complete.
    """
    return _network(architecture["class_name"], architecture["config"])


def _network(class_name: str, config: Any) -> keras.Model:
    return _sequential(config) if class_name == "Sequential" else _functional(config)


def _sequential(config: Any) -> keras.Model:
    name = config.get("name") if isinstance(config, dict) else None
    entries = config["layers"] if isinstance(config, dict) else config
    first = _shape_of(entries[0])
    start = [_input(entries[0])] if first is not None else []
    hidden = entries[1:] if entries[0]["class_name"] == "InputLayer" else entries
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
            sources = [tensors[source] for source in _sources(entry)]
            tensors[name] = _layer(entry)(sources if len(sources) > 1 else sources[0])
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
    if not all(map(_is_first_output, node)):
        raise UserError(f"the layer {quote(entry['name'])} reads a layer in a way not known here")
    return [name for name, *_ in node]


def _is_first_output(source: list[Any]) -> bool:
    """True if [name, node, tensor, settings] means the output of a layer that is used once."""
    # Which call of it: a network within another counts its own as the first. How it was called
    # while training does not matter here.
    _, _, tensor, *settings = source
    return tensor == 0 and not any(set(named) - {"training"} for named in settings)


def _is_arithmetic(entry: dict[str, Any]) -> bool:
    """True for an operation on two tensors or numbers, which is no layer."""
    [node, *_] = entry["inbound_nodes"]
    has_two = isinstance(node, dict) and len(node["args"]) == 2
    return entry["class_name"] == "TFOpLambda" or (has_two and entry["class_name"] in ARITHMETIC)


def _compute(entry: dict[str, Any], tensors: dict[str, Any]) -> Any:
    """The tensor that arithmetic gives, as Keras 2 or Keras 3 wrote it."""
    [node] = entry["inbound_nodes"]
    if isinstance(node, dict):
        name, operands = entry["class_name"], [_operand(one, tensors) for one in node["args"]]
    else:
        source, *_, settings = node
        name, operands = entry["config"]["function"], [tensors[source], settings["y"]]
    if not all(isinstance(one, (int, float, keras.KerasTensor)) for one in operands):
        raise UserError(f"the operation {quote(entry['name'])} takes more than tensors and numbers")
    return OPERATIONS[name](*operands)


def _operand(one: Any, tensors: dict[str, Any]) -> Any:
    return tensors[one["config"]["keras_history"][0]] if isinstance(one, dict) else one


def _shape_of(entry: dict[str, Any]) -> list[Any] | None:
    config = entry["config"]
    shape: list[Any] | None = config.get("batch_input_shape") or config.get("batch_shape")
    return shape


def _input(entry: dict[str, Any]) -> Any:
    """The input of the network, (None, height, width, channels), as its first layer asks for it.

    entry: of an InputLayer, or of the first layer of a Sequential without one.
    """
    # The name of another first layer is needed for that layer itself.
    name = entry["config"]["name"] if entry["class_name"] == "InputLayer" else None
    shape = _shape_of(entry)
    if shape is None:
        raise KeyError("batch_input_shape")
    return keras.Input(batch_shape=shape, dtype="float32", name=name)


def _layer(entry: dict[str, Any]) -> keras.layers.Layer:
    class_name, config = entry["class_name"], entry["config"]
    if class_name in NETWORKS:
        layer = _network(class_name, config)
    elif class_name in ONLY_TRAINING:
        layer = keras.layers.Identity(dtype="float32", name=config["name"])
    else:
        layer = _plain_layer(class_name, config)
    # Files list the weights of a part that was frozen in another order.
    if isinstance(config, dict) and config.get("trainable") is False:
        layer.trainable = False
    return layer


def _plain_layer(class_name: str, config: dict[str, Any]) -> keras.layers.Layer:
    if class_name not in LAYERS:
        raise UserError(f"the layer class {quote(class_name)} is not among those known")
    layer, known = LAYERS[class_name]
    settings = {_RENAMED.get(key, key): value for key, value in config.items() if _matters(key)}
    if class_name == "ELU":
        settings["alpha"] = settings.pop("negative_slope", 1.0)
    for key, value in settings.items():
        _check_setting(key, value, known, class_name)
    axis = settings.get("axis")
    if isinstance(axis, list) and len(axis) == 1:
        # Keras 2 wrote the axis of a BatchNormalization as a list of one.
        [settings["axis"]] = axis
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


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))
