"""plain_layer: one of Keras's own layers, from what a file says of it."""

import inspect
from collections.abc import Container
from typing import Any

from malaria.base.errors import UserError
from malaria.base.text import quote
from malaria.networks.backend import keras
from malaria.networks.names import safe_name
from malaria.networks.vocabulary import ACTIVATIONS, MODULES, ONLY_TRAINING

# Settings that matter only for training, or that are read in another place.
_DROPPED = (
    *("name", "trainable", "dtype", "batch_input_shape", "batch_shape", "noise_shape", "seed"),
    *("synchronized", "input_dtype", "autocast"),
    *("renorm_momentum", "renorm_clipping"),
)
_DROPPED_ENDINGS = ("_initializer", "_regularizer", "_constraint")


def check_class(entry: dict[str, Any], known: Container[Any], expected: str) -> None:
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


def plain_layer(class_name: str, config: dict[str, Any]) -> keras.layers.Layer:
    """The layer in float32; Identity for one that changes nothing but while training."""
    if class_name in ONLY_TRAINING:
        return keras.layers.Identity(dtype="float32", name=name_of(config))
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
    return layer(**kept, dtype="float32", name=name_of(config))


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


def name_of(config: dict[str, Any]) -> str | None:
    """The name of a layer or network as TensorFlow takes it; None where Keras is to choose it."""
    name = config.get("name")
    return None if name is None else safe_name(name)
