"""rebuild: a network from the architecture that Keras 2 or Keras 3 wrote.

Keras 3 cannot read the form of Keras 2 ("could not locate class 'Sequential'"), and what a stranger
sends is not given to its reader at all: only what vocabulary.py lists is built, and built here.
"""

from typing import Any

from malaria.base.errors import UserError
from malaria.base.text import quote
from malaria.networks.arithmetic import Find, compute, is_arithmetic, sources_of
from malaria.networks.backend import keras
from malaria.networks.plain_layer import check_class, name_of, plain_layer
from malaria.networks.vocabulary import LAYERS, NETWORKS, ONLY_TRAINING
from malaria.saved.pair import Architecture

# XResNet34 has 138, NASNetLarge some 1,040.
MAX_LAYERS = 2000
NAMED_LIKE_OPERATIONS = ("Add", "Subtract", "Multiply")


def rebuild(architecture: Architecture) -> keras.Model:
    """The network, in float32, with new weights and the old names, as `safe_name` gives them.

    architecture: of a Sequential, whose config is a dict or, as in 2018, only a list of layers; or
    of a Functional in which no layer with weights is used twice; both may hold others. Raises
    UserError for a layer or a setting that is not in the table; KeyError, TypeError and the like
    for a JSON that is not complete.
    """
    check_class(architecture, NETWORKS, "a Sequential or Functional network")
    config = architecture["config"]
    entries = config["layers"] if isinstance(config, dict) else config
    if len(entries) > MAX_LAYERS:
        raise UserError(f"expected at most {MAX_LAYERS} layers, received {len(entries)}")
    if architecture["class_name"] != "Sequential":
        return _functional(config)
    start = [] if _shape_of(entries[0]) is None else [_input(entries[0])]
    hidden = entries[1:] if entries[0]["class_name"] == "InputLayer" else entries
    name = name_of(config) if isinstance(config, dict) else None
    return keras.Sequential([*start, *map(_layer, hidden)], name=name)


def _functional(config: dict[str, Any]) -> keras.Model:
    """The network of layers that read each other; what has no weights may be called repeatedly."""
    starts, ends = _ends(config["input_layers"]), _ends(config["output_layers"])
    if len(starts) != 1 or len(ends) != 1:
        received = f"{len(starts)} and {len(ends)}"
        raise UserError(f"expected one input and one output, received {received}")
    find = _outputs(config["layers"])
    return keras.Model(find(starts[0]), find(ends[0]), name=name_of(config))


def _outputs(entries: list[dict[str, Any]]) -> Find:
    """A function from [name, which call, ...] to the output of that call, all of which are made."""
    counts = {entry["name"]: len(entry["inbound_nodes"]) for entry in entries}
    if sum(counts.values()) > MAX_LAYERS:
        raise UserError(f"expected at most {MAX_LAYERS} layers, received {sum(counts.values())}")
    has_arithmetic = any(map(is_arithmetic, entries))
    tensors: dict[tuple[str, int], Any] = {}

    def key(source: list[Any]) -> tuple[str, int]:
        # Which call of a layer does not matter where there is one: a network within another counts
        # its own as the first.
        return source[0], source[1] if counts[source[0]] > 1 else 0

    def find(source: list[Any]) -> Any:
        return tensors[key(source)]

    waiting = [call for entry in entries for call in _calls(entry)]
    while waiting:
        later = []
        for number, entry in waiting:
            if all(key(source) in tensors for source in _sources(entry)):
                tensors[entry["name"], number] = _output(entry, number, find, has_arithmetic)
            else:
                later.append((number, entry))
        if len(later) == len(waiting):
            raise UserError(f"the layer {quote(later[0][1]['name'])} reads one that reads it")
        waiting = later
    return find


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
    name = name_of(entry["config"]) if entry["class_name"] == "InputLayer" else None
    return keras.Input(batch_shape=_shape_of(entry), dtype="float32", name=name)


def _layer(entry: dict[str, Any]) -> keras.layers.Layer:
    class_name, config = entry["class_name"], entry["config"]
    if class_name in NETWORKS:
        layer = rebuild(entry)
    else:
        check_class(entry, (*LAYERS, *ONLY_TRAINING), "plain Keras layers")
        layer = plain_layer(class_name, config)
    # Files list the weights of a part that was frozen in another order.
    if isinstance(config, dict) and config.get("trainable") is False:
        layer.trainable = False
    return layer
