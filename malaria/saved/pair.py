"""pair: find the files of a saved model, ours or another program's; read its architecture."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from malaria.base.errors import UserError
from malaria.base.files import sha256_of
from malaria.saved.recognise import (
    ENDINGS,
    Kind,
    check_content,
    explain_missing,
    other_by_name,
    recognise,
)

# A stranger's .json is read whole before it is looked at; the largest of ours has 60 KB.
MAX_JSON_BYTES = 5_000_000
EXPECTED = (
    "a .h5 with its .json, a folder with pairs, a whole-model .h5, a .keras, a SavedModel, or a "
    ".tflite"
)
# The better of the pretrained ones on patients that it never saw.
DEFAULT_NAME = "compact.h5"
TIME_DIGITS = len("20190131235959")
GRAPH, WEIGHTS_IN_KERAS = "saved_model.pb", "model.weights.h5"
# What a .json holds, by key; Keras's part has many forms.
Architecture = dict[str, Any]


@dataclass(frozen=True)
class Pair:
    """The paths of one saved model.

    weights: its .h5; or, by `kind`, the whole-model .h5, .keras, SavedModel folder or .tflite.
    architecture: its .json, or the same file again. tflite: maybe there, made from the others.
    """

    weights: Path
    architecture: Path
    tflite: Path
    kind: Kind = "pair"

    @classmethod
    def at(cls, folder: Path | str, name: str) -> "Pair":
        """The paths of the pair of that name in `folder`, whether they exist or not."""
        h5, json_, tflite = (Path(folder, name + end) for end in (".h5", ".json", ".tflite"))
        return cls(h5, json_, tflite)


def check_free(pair: Pair) -> None:
    """Raise UserError if one of the three files of a pair to be written is there already."""
    for path in (pair.weights, pair.architecture, pair.tflite):
        if path.exists():
            raise UserError(f"{path} exists already: move it away or choose another name")


def find_pair(path: Path | str) -> Pair:
    """The model that `path` means: a .h5, its .json, a folder with pairs, or another's file.

    Of a folder the newest pair counts, by the time in the name, model_<time>_..., then by the
    file's, or else the only model in it; a SavedModel is a folder too. Raises UserError, for files
    that are known to be something else too.
    """
    path = Path(path)
    if path.name == GRAPH and path.is_file():
        path = path.parent
    elif path.is_dir() and not (path / GRAPH).exists():
        path = _model_in(path)
    if (path / GRAPH).exists():
        pair = Pair(path, path, path.with_name(f"{path.name}.tflite"), "saved_model")
        for file in [path / GRAPH, *variables_of(pair)]:
            check_content(file)
        return pair
    found = _pair_of(path)
    if found and recognise(found.weights) == "h5":
        check_content(found.architecture)
        return found
    return _single_file(found.weights if found else path)


def variables_of(pair: Pair) -> list[Path]:
    """The files with the weights of a SavedModel."""
    return sorted((pair.weights / "variables").glob("variables.*"))


def _single_file(path: Path) -> Pair:
    """The model in one file. Raises UserError."""
    if told := explain_missing(path) if not path.exists() else None:
        raise UserError(told)
    if path.exists() and (kind := recognise(path)) is not None:
        return Pair(path, path, path.with_suffix(".tflite"), kind)
    if path.suffix == ".json" or (path.suffix.lower() in ENDINGS and not path.exists()):
        missing = path.with_suffix(".h5") if path.suffix == ".json" else path
        raise UserError(f"no model at {path}: {missing.name} is not in {path.parent}/")
    what = f"{path} is no model" if path.exists() else f"no model at {path}"
    raise UserError(f"{what}: expected {EXPECTED}")


def _pair_of(path: Path) -> Pair | None:
    """The pair of a .h5 or its .json, if it is whole; Keras 3 calls the former name.weights.h5."""
    if path.suffix not in (".h5", ".json"):
        return None
    for name in (path.stem, path.stem.removesuffix(".weights")):
        for weights in (f"{path.stem}.h5", f"{name}.weights.h5"):
            pair = replace(Pair.at(path.parent, name), weights=path.with_name(weights))
            if pair.weights.is_file() and pair.architecture.is_file():
                return pair
    return None


def default_pair() -> Path:
    """The .h5 of the pretrained pair, in the installed package or in pretrained/ of a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "pretrained" / DEFAULT_NAME
    return inside if inside.is_file() else package.parent / "pretrained" / DEFAULT_NAME


def read_architecture(pair: Pair) -> Architecture:
    """The architecture in the .json, or in the file itself; not of a .tflite. Raises UserError."""
    path = pair.architecture
    if pair.kind != "pair":
        return _read_contained(pair)
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise UserError(f"{path} has more than {MAX_JSON_BYTES:,} bytes: no architecture")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise UserError(f"{path} is not JSON: expected what train.py or Keras wrote") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a JSON object, received a {type(content).__name__}")
    return content


def digest_of(pair: Pair) -> str:
    """The SHA-256 of the weights, as 64 hexadecimal digits. Raises UserError."""
    if pair.kind == "saved_model":
        return sha256_of(pair.weights / "variables" / "variables.data-00000-of-00001")
    return sha256_of(pair.weights)


def _read_contained(pair: Pair) -> Architecture:
    from malaria.saved import container

    readers = {
        "h5": container.read_h5_config,
        "keras": container.read_keras_config,
        "saved_model": container.read_saved_model_config,
    }
    content = readers[pair.kind](pair.weights)
    if content is None:
        raise UserError(
            f"{pair.weights} holds weights and no network: expected its .json beside it, or a file "
            "that model.save wrote"
        )
    if not isinstance(content, dict):
        raise UserError(f"{pair.weights}: expected an architecture, received a list")
    return content


def _model_in(folder: Path) -> Path:
    """The newest pair in a folder, or the only other model. Raises UserError."""
    halves = [path for path in folder.glob("*.json") if path.is_file()]
    pairs = [path for path in halves if path.with_suffix(".h5").is_file()]
    if pairs:
        return max(pairs, key=lambda path: (_time_in(path.name), path.stat().st_mtime))
    paths = sorted(folder.iterdir())
    if {"config.json", WEIGHTS_IN_KERAS} <= {path.name for path in paths}:
        raise UserError(
            f"{folder}/ is an unpacked .keras: pack its files into one again, with zip -0"
        )
    found = [one for one in paths if one.suffix.lower() in ENDINGS or (one / GRAPH).is_file()]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(path.name for path in found[:5])
        raise UserError(f"{folder}/ holds several models and no pair: name one of {names}")
    for path in [*folder.glob("*.json"), *paths]:
        if path.suffix == ".json" or other_by_name(path):
            recognise(path)
    if told := other_by_name(folder):
        raise UserError(f"{folder}/: {told}")
    raise UserError(f"no model in {folder}/: expected a .h5 with a .json of the same name")


def _time_in(name: str) -> str:
    """The time in model_<time>_..., '' in other names; ISO 8601 sorts as text.

    Only the digits are compared, since the first original wrote the same time with colons.
    """
    parts = name.split("_")
    digits = "".join(filter(str.isdigit, parts[1])) if len(parts) > 2 else ""
    # Year to second; model_9_layers has no time in it.
    return digits if parts[0] == "model" and len(digits) >= TIME_DIGITS else ""
