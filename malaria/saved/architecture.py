"""architecture: what a network's JSON says of its input and output, whichever Keras wrote it."""

import json
from collections.abc import Iterator
from itertools import takewhile
from typing import Any, Literal

from malaria.pictures.images import MAX_SIDE
from malaria.saved.pair import Architecture

# (height, width, channels) that the network takes; None where it takes any.
InputShape = tuple[int | None, int | None, int | None]
# Operations with numbers, as `preprocess_input` leaves them in a network.
ARITHMETIC = ("TrueDivide", "Subtract", "Add", "Multiply", "TFOpLambda")
# The depth to which nested networks are looked into.
DEPTH = 10
# What a network's answers are: of its last sigmoid or softmax, what comes before it, or the sigmoid
# of each label on its own, which need not add up to 1.
OutputForm = Literal["probabilities", "logits", "scores"]
# Layers behind the last one that leave its numbers as they are.
PASSING = ("Dropout", "Flatten", "Reshape", "ActivityRegularization", "Identity")


def input_shape(architecture: Architecture) -> InputShape | None:
    """The shape of an image that the network asks for, or None if it does not say."""
    shape = _batch_shape(architecture)
    if shape is None:
        return None
    height, width, channels = (
        side if type(side) is int and 0 < side <= MAX_SIDE else None for side in shape[1:]
    )
    return height, width, channels


def network_size(architecture: Architecture) -> tuple[int, int] | None:
    """(height, width) that the network asks for, or None if it does not say or takes any."""
    height, width, _ = input_shape(architecture) or (None, None, None)
    return (height, width) if height and width else None


def with_size(architecture: Architecture, size: tuple[int, int]) -> Architecture:
    """The same network for images of one size (height, width), where it takes any."""
    if network_size(architecture) or _batch_shape(architecture) is None:
        return architecture
    copy: Architecture = json.loads(json.dumps(architecture))
    shape = _batch_shape(copy)
    assert shape is not None, "it is a copy"
    shape[1:3] = size
    return copy


def output_count(architecture: Architecture) -> int | None:
    """The length of the network's answer, or None if its last layer does not say it."""
    _, config = _last(architecture)
    units = config.get("units")
    return units if type(units) is int else None


def rescales(architecture: Architecture) -> bool:
    """True if the network itself scales grey levels 0..255, before its first layer that learns."""
    learning = {"kernel_size", "units"}
    start = takewhile(lambda layer: not learning & layer["config"].keys(), _layers(architecture))
    return any(map(_takes_levels, start))


def _takes_levels(layer: dict[str, Any]) -> bool:
    """True for the division of 0..255 or the like; not for x * 2 - 1, which takes 0..1."""
    name, config = layer.get("class_name"), layer["config"]
    numbers = config.get("scale") if name == "Rescaling" else layer.get("inbound_nodes")
    is_one = name == "Rescaling" or name in ARITHMETIC
    sizes = map(abs, _numbers(numbers)) if is_one else ()
    return name == "Normalization" or any(size > 2 or 0 < size < 0.02 for size in sizes)


def _numbers(value: Any, depth: int = 2 * DEPTH) -> Iterator[float]:
    """Every number in the JSON of an operation, but for those that name a layer or a shape."""
    if isinstance(value, (int, float)):
        yield value
        return
    if isinstance(value, dict):
        value = [] if value.get("class_name") == "__keras_tensor__" else list(value.values())
    elif isinstance(value, list) and value and isinstance(value[0], str):
        value = value[2:]
    for one in value if depth and isinstance(value, list) else ():
        yield from _numbers(one, depth - 1)


def output_form(architecture: Architecture) -> OutputForm:
    """What the network's answers are, by the activation of its last layer."""
    class_name, config = _last(architecture)
    if class_name not in ("Dense", "Conv2D", "Activation"):
        return "probabilities"
    activation = config.get("activation")
    if activation == "sigmoid" and _width(architecture) != 1:
        return "scores"
    return "logits" if activation in (None, "linear") else "probabilities"


def _width(architecture: Architecture) -> Any:
    """The number of units or filters of the last layer that has some, or None."""
    for layer in reversed(list(_layers(architecture))):
        if width := layer["config"].get("units", layer["config"].get("filters")):
            return width
    return None


def _passes(layer: dict[str, Any]) -> bool:
    """True for a layer that leaves what it takes as it is, but for its shape."""
    config = layer.get("config")
    is_linear = isinstance(config, dict) and config.get("activation") == "linear"
    return layer.get("class_name") in PASSING or (
        layer.get("class_name") == "Activation" and is_linear
    )


def _batch_shape(architecture: Architecture) -> list[Any] | None:
    """[images, height, width, channels] of the first layer that says them."""
    for layer in _layers(architecture):
        for key in ("batch_shape", "batch_input_shape"):
            shape = layer["config"].get(key)
            if isinstance(shape, list) and len(shape) == 4:
                return shape
    return None


def _entries(node: Any) -> list[Any]:
    """The layers of a network's JSON, as they stand."""
    config = node.get("config") if isinstance(node, dict) else None
    layers = config.get("layers") if isinstance(config, dict) else config
    return layers if isinstance(layers, list) else []


def _layers(node: Any, depth: int = DEPTH) -> Iterator[dict[str, Any]]:
    """Every layer in order, those of nested networks in place of these."""
    for layer in _entries(node):
        if not isinstance(layer, dict) or not isinstance(layer.get("config"), (dict, list)):
            continue
        if depth and _entries(layer):
            yield from _layers(layer, depth - 1)
        elif isinstance(layer["config"], dict):
            yield layer


def _last(node: Any, depth: int = DEPTH) -> tuple[Any, dict[str, Any]]:
    """(class, config) of the layer that puts out the answer; (None, {}) if there is none."""
    layers = [layer for layer in _entries(node) if isinstance(layer, dict)]
    ends = node["config"].get("output_layers") if isinstance(node.get("config"), dict) else None
    if isinstance(ends, dict):
        ends = list(ends.values())
    while isinstance(ends, list) and ends and isinstance(ends[0], list):
        ends = ends[0]
    names = [layer.get("name") for layer in layers]
    if isinstance(ends, list) and ends:
        layers = layers[: names.index(ends[0]) + 1] if ends[0] in names else []
    while len(layers) > 1 and _passes(layers[-1]):
        layers.pop()
    if not layers:
        return None, {}
    last = layers[-1]
    if depth and _entries(last):
        return _last(last, depth - 1)
    config = last.get("config")
    return last.get("class_name"), config if isinstance(config, dict) else {}
