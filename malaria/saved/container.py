"""container: the architecture inside a model that another program saved as one file or folder."""

import json
import re
import zipfile
from pathlib import Path
from typing import Any

from malaria.base.errors import UserError

MAX_BYTES = 5_000_000
# What a SavedModel of Keras 2 says of itself; a stranger's could be of any size.
MAX_METADATA_BYTES = 50_000_000
WEIGHTS_IN_KERAS, CONFIG_IN_KERAS = "model.weights.h5", "config.json"


def read_h5_config(path: Path) -> Any:
    """The architecture in a whole-model .h5 (`model.save("x.h5")`), or None if it has none."""
    import h5py  # a tenth of a second that other files need not pay

    try:
        with h5py.File(path, "r") as file:
            config = file.attrs.get("model_config")
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(f"cannot read {path}: no HDF5 file, or damaged: {error}") from None
    text = config.decode("utf-8", "replace") if isinstance(config, bytes) else config
    return None if text is None else _parse(str(text), path)


def read_keras_config(path: Path) -> Any:
    """The architecture in a .keras file. Raises UserError."""
    try:
        with zipfile.ZipFile(path) as file:
            entry = file.getinfo(CONFIG_IN_KERAS)
            if entry.file_size > MAX_BYTES:
                raise UserError(f"{path}: {CONFIG_IN_KERAS} has more than {MAX_BYTES:,} bytes")
            return _parse(file.read(entry).decode("utf-8", "replace"), path)
    except (OSError, zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError) as error:
        raise UserError(
            f"cannot read {path}: expected a .keras file as `model.save` writes it: {error}"
        ) from None


def read_saved_model_config(folder: Path) -> Any:
    """The architecture in a SavedModel that Keras 2 wrote.

    Its graph, which could hold any operation, is never run. Raises UserError for one without an
    architecture, such as `model.export` of Keras 3 writes.
    """
    path = folder / "keras_metadata.pb"
    if not path.is_file():
        raise UserError(
            f"{folder} is a SavedModel without Keras's architecture; its graph could run code, so "
            'it is not opened: save the model again with model.save("model.keras")'
        )
    if path.stat().st_size > MAX_METADATA_BYTES:
        raise UserError(f"{path} has more than {MAX_METADATA_BYTES:,} bytes: no architecture")
    text = path.read_bytes().decode("latin-1")
    # Each node of the file holds one JSON text; the first is the whole model's.
    start = re.search(r'\{"name": ', text)
    if start is None:
        raise UserError(f"{path}: expected the architecture that Keras 2 wrote, found none")
    try:
        content, _ = json.JSONDecoder(object_hook=_plain).raw_decode(text, start.start())
        return {"class_name": content["class_name"], "config": content["config"]}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path}: its architecture is damaged: {error}") from None


def _plain(node: dict[str, Any]) -> Any:
    """A list for what TensorFlow writes as {"class_name": "__tuple__", ...}."""
    return node["items"] if node.get("class_name") == "__tuple__" else node


def _parse(text: str, path: Path) -> Any:
    """The JSON text as plain values. Raises UserError if it is none, or too long."""
    if len(text) > MAX_BYTES:
        raise UserError(f"{path}: its architecture has more than {MAX_BYTES:,} characters")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise UserError(
            f"{path}: its architecture is not JSON: expected what Keras wrote"
        ) from None
