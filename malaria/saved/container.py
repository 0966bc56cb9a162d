"""container: the architecture inside a model that another program saved as one file or folder."""

import json
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from malaria.base.errors import UserError
from malaria.base.text import shorten

MAX_BYTES = 5_000_000
# What a SavedModel of Keras 2 says of itself; a stranger's could be of any size.
MAX_METADATA_BYTES = 50_000_000
CONFIG_IN_KERAS = "config.json"
# Where the list of a zip's files is told: before a comment of up to 64 KB.
END_BYTES = 70_000


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
        with open_member(path, CONFIG_IN_KERAS, MAX_BYTES) as member:
            # Not more than it says: the size in the zip may be a lie.
            content = member.read(MAX_BYTES)
    except Exception as error:  # zipfile fails on damaged ones in many ways
        raise UserError(
            f"cannot read {path}: expected a .keras file as `model.save` writes it: "
            f"{shorten(error, 200) or type(error).__name__}"
        ) from None
    return _parse(content.decode("utf-8", "replace"), path)


@contextmanager
def open_member(path: Path, name: str, limit: int) -> Iterator[IO[bytes]]:
    """Open a file in a .keras for reading. Raises UserError, and what zipfile raises.

    limit: the bytes that it may say to have; it gives no more than it says.
    """
    _check_directory(path)
    with zipfile.ZipFile(path) as file:
        entry = file.getinfo(name)
        if entry.file_size > limit:
            size = f"{entry.file_size:,} bytes"
            raise UserError(f"{name} would be {size}, more than the {limit:,} allowed")
        # Of other kinds a few bytes are unpacked to any number at once.
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise UserError(f"{name} is packed in a way that Keras does not write")
        with file.open(entry) as member:
            yield member


def _check_directory(path: Path) -> None:
    """Raise UserError for a zip whose list of files would fill the memory."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - END_BYTES))
        end = file.read()
    for signature, start, length in (b"PK\5\6", 12, 4), (b"PK\6\6", 40, 8):
        place = end.rfind(signature) + start
        size = int.from_bytes(end[place : place + length], "little")
        if place >= start and MAX_BYTES < size < 2**32 - 1:
            raise UserError(f"its list of files has {size:,} bytes")


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
