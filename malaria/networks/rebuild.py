"""rebuild: a network from the architecture that Keras 2 or Keras 3 wrote.

Keras 3 cannot read the form of Keras 2 ("could not locate class 'Sequential'"), and what a stranger
sends is not given to its reader at all: only what vocabulary.py lists is built, and built here.
"""

import inspect
from collections.abc import Container
from typing import Any

from malaria.base.errors import UserError
from malaria.base.text import quote
from malaria.networks.arithmetic import Find, compute, is_arithmetic, sources_of
from malaria.networks.backend import keras
from malaria.networks.names import safe_name
from malaria.networks.vocabulary import (
    ACTIVATIONS,
    LAYERS,
    MODULES,
    NETWORKS,
    ONLY_TRAINING,
)
from malaria.saved.pair import Architecture

# XResNet34 has 138.
MAX_LAYERS = 1000
NAMED_LIKE_OPERATIONS = ("Add", "Subtract", "Multiply")
# Settings that matter only for training, or that are read in another place.
_DROPPED = (
    *("name", "trainable", "dtype", "batch_input_shape", "batch_shape", "noise_shape", "seed"),
    *("synchronized", "input_dtype", "autocast"),
    *("renorm_momentum", "renorm_clipping"),
)
_DROPPED_ENDINGS = ("_initializer", "_regularizer", "_constraint")


def rebuild(architecture: Architecture) -> keras.Model:
    """The network, in float32, with new weights and the old names, as `safe_name` gives them.

    architecture: of a Sequential, whose config is a dict or, as in 2018, only a list of layers; or
    of a Functional in which no layer with weights is used twice; both may hold others. Raises
    UserError for a layer or a setting that is not in the table; KeyError, TypeError and the like
    for a JSON that is not complete.
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
    name = _name_of(config) if isinstance(config, dict) else None
    return keras.Sequential([*start, *map(_layer, hidden)], name=name)


def _functional(config: dict[str, Any]) -> keras.Model:
    """The network of layers that read each other; what has no weights may be called repeatedly."""
    entries = config["layers"]
    counts = {entry["name"]: len(entry["inbound_nodes"]) for entry in entries}
    starts, ends = _ends(config["input_layers"]), _ends(config["output_layers"])
    if len(starts) != 1 or len(ends) != 1:
        received = f"{len(starts)} and {len(ends)}"
        raise UserError(f"expected one input and one output, received {received}")
    if sum(counts.values()) > MAX_LAYERS:
        raise UserError(f"expected at most {MAX_LAYERS} layers, received {sum(counts.values())}")
    has_arithmetic = any(map(is_arithmetic, entries))
    tensors: dict[tuple[str, int], Any] = {}

    def key(source: list[Any]) -> tuple[str, int]:
        # Which call of a layer does not matter where there is one: a network within another counts
        # its own as the first.
        return source[0], source[1] if counts[source[0]] > 1 else 0

    waiting = [call for entry in entries for call in _calls(entry)]
    while waiting:
        later = []
        for number, entry in waiting:
            if all(key(source) in tensors for source in _sources(entry)):
                find = lambda source: tensors[key(source)]  # noqa: E731
                tensors[entry["name"], number] = _output(entry, number, find, has_arithmetic)
            else:
                later.append((number, entry))
        if len(later) == len(waiting):
            raise UserError(f"the layer {quote(later[0][1]['name'])} reads one that reads it")
        waiting = later
    name = _name_of(config)
    return keras.Model(tensors[key(starts[0])], tensors[key(ends[0])], name=name)


def _calls(entry: dict[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    """(number, the same with this call alone) of each call of a layer; of an input one."""
    nodes = entry["inbound_nodes"]
    return [(n, entry | {"inbound_nodes": [node]}) for n, node in enumerate(nodes)] or [(0, entry)]


def _output(entry: dict[str, Any], number: int, find: Find, has_arithmetic: bool) -> Any:
    """What one call of a layer, or an operation, gives."""
    if entry["class_name"] == "InputLayer":
        return _input(entry)
    if is_arithmetic(entry):
        return compute(entry, find)
    if number:  # a layer of its own
        name = f"{entry['config']['name']}_call_{number}"
        entry = entry | {"config": entry["config"] | {"name": name}}
    elif has_arithmetic and entry["class_name"] in NAMED_LIKE_OPERATIONS:
        # Keras itself numbers operations, and would give one a name that a layer has.
        entry = entry | {"config": entry["config"] | {"name": None}}
    layer, inputs = _layer(entry), [find(source) for source in _sources(entry)]
    output = layer(inputs if len(inputs) > 1 else inputs[0])
    if number and layer.weights:
        raise UserError(f"the layer {quote(entry['name'])} has weights and is used more than once")
    return output


def _ends(layers: Any) -> list[Any]:
    """[[name, 0, 0], ...]; Keras 3 leaves out the outer brackets of a single one."""
    layers = list(layers.values()) if isinstance(layers, dict) else layers
    return [layers] if isinstance(layers[0], str) else layers


def _sources(entry: dict[str, Any]) -> list[list[Any]]:
    """[[name, which call, ...], ...] of the layers whose output this one takes.

    From [[[name, 0, 0, {}], ...]] of Keras 2, or [{"args": [tensors], "kwargs": {}}] of Keras 3.
    """
    if not entry["inbound_nodes"]:
        return []
    [node] = entry["inbound_nodes"]
    if isinstance(node, dict):
        return sources_of(node["args"])
    if is_arithmetic(entry):
        return sources_of([node, node[3].get("y")])
    # How the layer was called while training does not matter.
    for _, _, tensor, *settings in node:
        if tensor != 0 or any(set(named) - {"training"} for named in settings):
            raise UserError(
                f"the layer {quote(entry['name'])} reads a layer in a way not known here"
            )
    return list(node)


def _shape_of(entry: dict[str, Any]) -> Any:
    """[None, height, width, channels], or None; a network takes any number of images."""
    shape = entry["config"].get("batch_input_shape") or entry["config"].get("batch_shape")
    return [None, *shape[1:]] if shape else None


def _input(entry: dict[str, Any]) -> Any:
    """The input of the network, (None, height, width, channels), as its first layer asks for it.

    entry: of an InputLayer, or of the first layer of a Sequential without one.
    """
    # The name of another first layer is needed for that layer itself.
    name = _name_of(entry["config"]) if entry["class_name"] == "InputLayer" else None
    return keras.Input(batch_shape=_shape_of(entry), dtype="float32", name=name)


def _name_of(config: dict[str, Any]) -> str | None:
    """The name of a layer or network as TensorFlow takes it; None where Keras is to choose it."""
    name = config.get("name")
    return None if name is None else safe_name(name)


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
        return keras.layers.Identity(dtype="float32", name=_name_of(config))
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
    return layer(**kept, dtype="float32", name=_name_of(config))


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
