"""weights: fill a network from a .h5 of Keras 2 or Keras 3, which may come from a stranger."""

import itertools
import os
from collections.abc import Collection, Iterator
from typing import Any

import h5py

from malaria.base.errors import UserError
from malaria.base.text import quote, shorten
from malaria.networks.backend import keras
from malaria.networks.names import safe_name

# XResNet34 has 700 items, 4 deep.
MAX_ITEMS, MAX_DEPTH = 50_000, 40


def fill_by_names(model: keras.Model, group: h5py.Group) -> None:
    """Fill the model from a group that names its layers. Raises UserError for another network's."""
    layers = [layer for layer in model.layers if layer.weights]
    saved = [name for name in _names(group, "layer_names") if _names(group[name], "weight_names")]
    places = {safe_name(name): name for name in saved}
    _check_names([layer.name for layer in layers], places)
    for layer in layers:
        _fill(layer, group[places[layer.name]])


def fill_in_order(model: keras.Model, group: h5py.Group) -> None:
    """Fill the model from a group that has its layers in their order, as Keras itself reads it.

    Keras numbers layers that have no name, so that the same layer is conv2d_1 in one file and
    conv2d_95 in another; each shape has to fit. The numbers of a Normalization are not read.
    """
    layers = [layer for layer in model.layers if layer.weights]
    saved = [name for name in _names(group, "layer_names") if _names(group[name], "weight_names")]
    if len(layers) != len(saved):
        raise UserError(f"expected {len(layers)} layers with weights, received {len(saved)}")
    for layer, name in zip(layers, saved, strict=True):
        if not isinstance(layer, keras.layers.Normalization):
            _fill(layer, group[name])


def check_links(file: h5py.File) -> None:
    """Raise UserError at a link, which could lead to another file, and in a maze of groups."""
    seen = itertools.count(1)

    def problem(name: str, link: Any) -> str | None:
        # What is returned ends the visit; an exception would not come through deep groups.
        if next(seen) > MAX_ITEMS or name.count("/") > MAX_DEPTH:
            return f"more than {MAX_ITEMS:,} items, or {MAX_DEPTH} deep: no weights"
        if isinstance(link, h5py.HardLink):
            return None
        return f"{quote(name)} is a link, which could lead out of the file"

    found = file.visititems_links(problem)
    if found is not None:
        raise UserError(found)


def _check_names(expected: list[str], saved: Collection[str]) -> None:
    for name in expected:
        if name not in saved:
            raise UserError(f"expected weights of the layer {quote(name)}, received none")
    for name in saved:
        if name not in expected:
            raise UserError(f"received weights of {quote(name)}, a layer the network does not have")


def _names(group: h5py.Group, attribute: str) -> list[str]:
    # Where they are too many for one attribute, Keras writes name0, name1, ...
    numbered = (f"{attribute}{number}" for number in itertools.count())
    keys = [attribute]
    if attribute not in group.attrs:
        keys = [*itertools.takewhile(group.attrs.__contains__, numbered)] or keys
    names = [name for key in keys for name in group.attrs[key]]
    # Some versions of Keras 2 wrote them as bytes.
    return [name.decode() if isinstance(name, bytes) else name for name in names]


def _fill(layer: keras.layers.Layer, group: h5py.Group) -> None:
    """Copy the weights of one layer, in the order in which Keras 2 and Keras 3 write them."""
    # Keras's own load_weights goes by the position of the layers, so that the .h5 of a similar
    # network would be accepted, and reads the values before it compares the shapes.
    variables = layer.trainable_weights + layer.non_trainable_weights
    names = _names(group, "weight_names")
    if len(names) != len(variables):
        counts = f"expected {len(variables)} weights, received {len(names)}"
        raise UserError(f"the layer {quote(layer.name)}: {counts}")
    for variable, name in zip(variables, names, strict=True):
        dataset, shape = group[name], tuple(variable.shape)
        kinds = "f" if "float" in str(variable.dtype) else "iu"
        if dataset.shape != shape or dataset.dtype.kind not in kinds:
            raise UserError(
                f"{quote(f'{layer.name}/{variable.name}')}: expected {shape} of floats, received "
                f"{dataset.shape} of {quote(dataset.dtype)}"
            )
        variable.assign(dataset.astype("f4")[()])


def leaves(model: keras.Model) -> Iterator[Any]:
    """The layers of a network and of the networks in it, and the arithmetic between layers."""
    for part in getattr(model, "operations", model.layers):  # a Sequential has no arithmetic
        if isinstance(part, keras.Model):
            yield from leaves(part)
        else:
            yield part


def reason_of(error: Exception) -> str:
    """What failed, in at most 200 characters: the system's words, or the innermost of Keras's."""
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    missing = "no " if isinstance(error, KeyError) else ""
    text = str(error).rpartition("Exception encountered: ")[2].strip() or type(error).__name__
    return shorten(missing + text.splitlines()[0], 200)
