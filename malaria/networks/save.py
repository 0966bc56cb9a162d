"""save: write a pair and its .tflite, whole or not at all."""

import json
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from malaria.base.errors import UserError
from malaria.base.files import flush, sha256_of
from malaria.networks.backend import keras
from malaria.networks.export import to_tflite
from malaria.networks.load_model import silence
from malaria.networks.weight_files import SPARE_BYTES
from malaria.networks.weights import reason_of
from malaria.saved.metadata import KEY
from malaria.saved.pair import Pair, check_free
from malaria.saved.tflite import note_tried


def save_pair(
    model: keras.Model,
    folder: Path | str,
    name: str,
    metadata_entries: dict[str, Any],
    *,
    beside: Path | None = None,
) -> Pair:
    """Write folder/name.h5, .tflite and .json, whole or not at all; return their Pair.

    The .json is the architecture as Keras writes it, with the `metadata_entries` and the SHA-256 of
    both others under one more key. beside: a folder on the same disk in which unfinished files lie,
    and are left where the process is killed; None: `folder`. Raises UserError if the name is taken
    or cannot be written.
    """
    pair = Pair.at(folder, name)
    check_free(pair)
    try:
        beside = beside or pair.weights.parent
        for needed in (pair.weights.parent, beside):
            needed.mkdir(parents=True, exist_ok=True)
        # A folder in the same file system, so that a rename is all that is left to do.
        with tempfile.TemporaryDirectory(dir=beside, prefix=".saving_") as workshop:
            _write(model, Path(workshop), metadata_entries)
            _move(Path(workshop), pair)
    except OSError as error:
        raise UserError(f"cannot save {pair.weights}: {reason_of(error)}") from None
    return pair


def _write(model: keras.Model, workshop: Path, metadata_entries: dict[str, Any]) -> None:
    weights, architecture, tflite = (workshop / f"pair{end}" for end in (".h5", ".json", ".tflite"))
    # HDF5 brings the whole process down when the disk fills up under it: try the room first.
    weights.write_bytes(bytes(4 * model.count_params() + SPARE_BYTES))
    flush(weights)
    with silence():
        # save_weights would insist on a name and a form that Keras 2 cannot read.
        model.save(weights, include_optimizer=False)
    content = json.loads(model.to_json())
    # How it was trained is in the metadata; Keras would look for the loss when it loads this.
    content.pop("compile_config", None)
    tflite.write_bytes(to_tflite(model, features="guard" in metadata_entries))
    digests = {"weights_sha256": sha256_of(weights), "tflite_sha256": sha256_of(tflite)}
    content[KEY] = {**metadata_entries, **digests}
    # JSON has no word for NaN and infinity: None.
    content = json.loads(json.dumps(content), parse_constant=lambda word: None)
    text = json.dumps(content, indent=1, ensure_ascii=False)
    # The name of a folder may hold bytes that are no text; escaped they are JSON all the same.
    architecture.write_bytes(f"{text}\n".encode("utf-8", "backslashreplace"))
    for path in (weights, architecture, tflite):
        flush(path)
    note_tried(digests["tflite_sha256"])


def _move(workshop: Path, pair: Pair) -> None:
    """Give all parts their names, the .json last: without it the others are no model."""
    with ExitStack() as undo:
        for path in (pair.weights, pair.tflite, pair.architecture):
            os.replace(workshop / f"pair{path.suffix}", path)
            undo.callback(path.unlink)
        undo.pop_all()
