"""architecture: what a network's JSON says of its input and output, whichever Keras wrote it."""

import json
from collections.abc import Iterator
from typing import Any

from malaria.pictures.images import MAX_SIDE
from malaria.saved.pair import Architecture

# (height, width, channels) that the network takes; None where it takes any.
InputShape = tuple[int | None, int | None, int | None]
# Layers that bring grey levels 0..255 to what the network needs.
RESCALING = ("Rescaling", "Normalization", "TrueDivide", "TFOpLambda")
# A network that rescales does so at its beginning.
LOOKED_AT = 8
# The depth to which nested networks are looked into.
DEPTH = 10


def input_shape(architecture: Architecture) -> InputShape | None:
    """The shape of an image that the network asks for, or None if it does not say."""
    shape = _batch_shape(architecture)
    if shape is None:
        return None
    height, width, channels = (_side(side) for side in shape[1:])
    return height, width, channels


def network_size(architecture: Architecture) -> tuple[int, int] | None:
    """(height, width) that the network asks for, or None if it does not say or takes any."""
    shape = input_shape(architecture)
    if shape is None or shape[0] is None or shape[1] is None:
        return None
    return shape[0], shape[1]


def with_size(architecture: Architecture, size: tuple[int, int]) -> Architecture:
    """The same network for images of one size (height, width), where it takes any."""
    shape = input_shape(architecture)
    if shape is None or (shape[0] and shape[1]):
        return architecture
    copy: Architecture = json.loads(json.dumps(architecture))
    found = _batch_shape(copy)
    if found is not None:
        found[1:3] = size
    return copy


def output_count(architecture: Architecture) -> int | None:
    """The length of the network's answer, or None if its last layer does not say it."""
    layer = _last(architecture, DEPTH) or {}
    config = layer.get("config")
    units = config.get("units") if isinstance(config, dict) else None
    return units if type(units) is int else None


def rescales(architecture: Architecture) -> bool:
    """True if the network itself scales grey levels 0..255."""
    first = [layer.get("class_name") for layer in _layers(architecture)][:LOOKED_AT]
    return any(name in RESCALING for name in first)


def ends_in_logits(architecture: Architecture) -> bool:
    """True if the network gives logits: its last layer has no sigmoid or softmax."""
    layer = _last(architecture, DEPTH)
    if layer is None or layer.get("class_name") not in ("Dense", "Conv2D", "Activation"):
        return False
    config = layer.get("config")
    activation = config.get("activation") if isinstance(config, dict) else None
    return activation in (None, "linear")


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


def _last(node: Any, depth: int) -> dict[str, Any] | None:
    """The layer that puts out the answer."""
    layers = [layer for layer in _entries(node) if isinstance(layer, dict)]
    ends = node["config"].get("output_layers") if isinstance(node.get("config"), dict) else None
    while isinstance(ends, list) and ends and isinstance(ends[0], list):
        ends = ends[0]
    if ends:
        layers = [layer for layer in layers if layer.get("name") == ends[0]]
    if not layers:
        return None
    last: dict[str, Any] = layers[-1]
    return _last(last, depth - 1) if depth and _entries(last) else last


def _side(side: Any) -> int | None:
    return side if type(side) is int and 0 < side <= MAX_SIDE else None
