"""weight_files: fill a network from the weights of any file that Keras 2 or Keras 3 writes."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from malaria.base.errors import UserError
from malaria.base.text import quote
from malaria.networks.backend import keras, tf
from malaria.networks.names import safe_name
from malaria.networks.weights import check_links, fill_by_names, leaves, reason_of
from malaria.saved.container import open_member
from malaria.saved.pair import WEIGHTS_IN_KERAS, Pair, variables_of

# Weights may be stored as float16 or compressed; more than this is a mistake or a trap.
MAX_BYTES_PER_STORED_BYTE = 4
# What a .h5 holds beside the weights themselves; XResNet34's has 440 KB of it.
SPARE_BYTES = 2**20
OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
# Keras 2's names of variables, by those of Keras 3.
FORMER = {"kernel": "depthwise_kernel"}


def load_weights(model: keras.Model, pair: Pair) -> None:
    """Fill the model with the weights of the pair, whichever kind it is.

    Raises UserError if they belong to another network, are damaged, or lead to another file.
    """
    try:
        if pair.kind == "saved_model":
            _load_checkpoint(model, pair.weights / "variables" / "variables")
        else:
            with _h5_of(pair) as path:
                load_h5(model, path, fill_by_names)
        check_finite(model)
        for layer in leaves(model):
            if isinstance(layer, keras.layers.Normalization):
                layer.finalize_state()  # it computes something from its weights
    except UserError as error:
        raise UserError(
            f"{pair.weights} does not belong to {pair.architecture.name}, or is damaged: {error}"
        ) from None
    except Exception as error:
        # HDF5, zip and checkpoint fail on damaged files in many ways.
        raise UserError(
            f"cannot read {pair.weights}: expected the weights that train.py or Keras wrote, "
            f"received: {reason_of(error)}"
        ) from None


def check_finite(model: keras.Model) -> None:
    """Raise UserError for a network with weights that are no finite numbers."""
    for variable, values in zip(model.weights, model.get_weights(), strict=True):
        if not np.isfinite(values).all():
            raise UserError(f"{quote(variable.path)} has values that are not finite numbers")


def stored_bytes(pair: Pair) -> int:
    """The bytes of the files that hold the weights."""
    paths = variables_of(pair) if pair.kind == "saved_model" else [pair.weights]
    return sum(map(_bytes_on_disk, paths))


def _bytes_on_disk(path: Path) -> int:
    """The size of a file without its holes, of which a small one can have gigabytes."""
    status = path.stat()
    # Windows does not say it.
    return min(status.st_size, 512 * getattr(status, "st_blocks", status.st_size))


@contextmanager
def _h5_of(pair: Pair) -> Iterator[Path]:
    """The .h5 with the weights; of a .keras, a copy outside of the zip."""
    if pair.kind != "keras":
        yield pair.weights
        return
    limit = MAX_BYTES_PER_STORED_BYTE * stored_bytes(pair) + SPARE_BYTES
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, WEIGHTS_IN_KERAS)
        with open_member(pair.weights, WEIGHTS_IN_KERAS, limit) as member, path.open("wb") as file:
            shutil.copyfileobj(member, file)
        yield path


def load_h5(
    model: keras.Model, path: Path, fill: Callable[[keras.Model, h5py.Group], None]
) -> None:
    """Fill the model from a .h5, with `fill` where that lists its layers. Raises as Keras does."""
    with h5py.File(path, "r") as file:
        check_links(file)
        _check_sizes(file, path.stat().st_size)
        # Keras 2 wrote the layers at the top (save_weights) or in a group (save).
        is_list = {"layer_names", "layer_names0"} & file.attrs.keys()
        group = file if is_list else file.get("model_weights")
        if group is not None:
            fill(model, group)
            return
    if path.name.endswith(".weights.h5"):
        model.load_weights(path)
        return
    # Keras goes by the ending.
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder, WEIGHTS_IN_KERAS)
        link.symlink_to(path.resolve())
        model.load_weights(link)


def _check_sizes(file: h5py.File, stored: int) -> None:
    """Raise UserError if the datasets would take far more memory than the file."""
    sizes: list[int] = []

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            chunk = int(np.prod(item.chunks)) * item.dtype.itemsize if item.chunks else 0
            sizes.append(max(item.nbytes, chunk))
            if item.is_virtual or item.external:
                raise UserError(f"the values of {quote(name)} are in another file")

    file.visititems(note)
    if sum(sizes) > MAX_BYTES_PER_STORED_BYTE * stored + SPARE_BYTES:
        raise UserError(f"its weights would take {sum(sizes):,} bytes of {stored:,} in the file")


def _load_checkpoint(model: keras.Model, prefix: Path) -> None:
    """Fill the model from the variables of a SavedModel, by the names of layers and variables."""
    reader = tf.train.load_checkpoint(str(prefix))
    keys, shapes = _checkpoint_keys(reader), reader.get_variable_to_shape_map()
    for layer in leaves(model):
        for variable in getattr(layer, "weights", ()):
            place = f"{layer.name}/{variable.name}"
            former = f"{layer.name}/{FORMER.get(variable.name)}"
            key = keys.get(place, keys.get(former, ""))
            received = tuple(shapes[key]) if key in shapes else "none"
            if received != tuple(variable.shape):
                raise UserError(
                    f"{quote(place)}: expected {tuple(variable.shape)}, received {received}"
                )
            variable.assign(reader.get_tensor(key))


def _checkpoint_keys(reader: Any) -> dict[str, str]:
    """{"layer/variable": its key in the checkpoint}, as the checkpoint itself says."""
    # After the backend, which sets TensorFlow up. Public TensorFlow has no other reader of this;
    # tried with 2.21 and 2.22, and where it is absent the ImportError is told in one line.
    from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

    graph = TrackableObjectGraph()
    graph.ParseFromString(reader.get_tensor(OBJECT_GRAPH))
    attributes = (attribute for node in graph.nodes for attribute in node.attributes)
    return {_safe_place(each.full_name): each.checkpoint_key for each in attributes}


def _safe_place(name: str) -> str:
    layer, _, variable = name.rpartition("/")
    return f"{safe_name(layer)}/{variable}"
