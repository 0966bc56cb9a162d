"""weights: fill a network from a .h5 that Keras 2 or Keras 3 wrote, and a stranger may have."""

import os

import h5py
import numpy as np

from malaria.base.errors import UserError
from malaria.base.text import printable
from malaria.networks.keras2 import quote


def load_weights(model, pair):
    """Fill the model with the weights of the pair. Raises UserError if they are not its own."""
    try:
        with h5py.File(pair.weights, "r") as file:
            _check_links(file)
            # Keras 2 wrote the layers outermost (save_weights) or one group deeper (save).
            group = file if "layer_names" in file.attrs else file["model_weights"]
            layers = [layer for layer in model.layers if layer.weights]
            _check_names([layer.name for layer in layers], group)
            for layer in layers:
                _fill(layer, group[layer.name])
    except UserError as error:
        raise UserError(
            f"{pair.weights} does not belong to {pair.architecture.name}, or is damaged: {error}"
        ) from None
    except (OSError, KeyError, RuntimeError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"cannot read {pair.weights}: expected the HDF5 weights that train.py or Keras 2 "
            f"wrote, received: {reason_of(error)}"
        ) from None


def _check_links(file):
    """Refuse what would make reading this file read another one."""

    def elsewhere(name, link):
        return None if isinstance(link, h5py.HardLink) else name

    name = file.visititems_links(elsewhere)
    if name is not None:
        raise UserError(f"{quote(name)} is a link, which could lead out of the file")


def _check_names(expected, group):
    saved = [name for name in _names(group, "layer_names") if _names(group[name], "weight_names")]
    for name in expected:
        if name not in saved:
            raise UserError(f"expected weights of the layer {quote(name)}, received none")
    for name in saved:
        if name not in expected:
            raise UserError(f"received weights of {quote(name)}, a layer the network has not")


def _names(group, attribute):
    """The names in an attribute of an HDF5 group: bytes or text, by the version of Keras 2."""
    names = group.attrs[attribute]
    return [name.decode() if isinstance(name, bytes) else name for name in names]


def _fill(layer, group):
    """Copy the weights of one layer, in the order in which Keras 2 and Keras 3 write them.

    By name, and not with load_weights: that goes by position, whatever the layers are called, so
    that the halves of two like networks pass for a pair; and it reads before it compares shapes.
    """
    variables = layer.trainable_weights + layer.non_trainable_weights
    names = _names(group, "weight_names")
    if len(names) != len(variables):
        counts = f"expected {len(variables)} weights, received {len(names)}"
        raise UserError(f"the layer {quote(layer.name)}: {counts}")
    for variable, name in zip(variables, names, strict=True):
        where = quote(f"{layer.name}/{variable.name}")
        variable.assign(_read(group[name], tuple(variable.shape), where))


def _read(dataset, shape, where):
    """The values of a dataset as float32, once it is known to be of that shape."""
    if dataset.shape != shape or dataset.dtype.kind != "f":
        received = f"{dataset.shape} of {quote(dataset.dtype)}"
        raise UserError(f"{where}: expected {shape} of floats, received {received}")
    if dataset.is_virtual or dataset.external:
        raise UserError(f"the values of {where} are in another file")
    values = dataset.astype("f4")[()]
    if not np.isfinite(values).all():
        raise UserError(f"{where} has values that are not finite numbers")
    return values


def reason_of(error):
    """One line, at most 200 characters: what the system says, or Keras of the innermost error."""
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    missing = "no " if isinstance(error, KeyError) else ""
    text = str(error).rpartition("Exception encountered: ")[2].strip() or type(error).__name__
    return missing + printable(text.splitlines()[0][:200])
