"""pair: find the files of a saved model, and read its .json."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from malaria.base.errors import UserError

# A stranger's .json is read whole before it is looked at; the largest of ours has 60 KB.
MAX_JSON_BYTES = 5_000_000
# The better of the pretrained ones on patients that it never saw.
DEFAULT_NAME = "compact.h5"
# What a .json holds, by key; Keras's part has many forms.
Architecture = dict[str, Any]


@dataclass(frozen=True)
class Pair:
    """The paths of one saved model: weights (.h5), architecture (.json), and maybe a .tflite."""

    weights: Path
    architecture: Path
    tflite: Path

    @classmethod
    def at(cls, folder: Path | str, name: str) -> "Pair":
        """The paths of the pair of that name in `folder`, whether they exist or not."""
        return cls(*(Path(folder, name + suffix) for suffix in (".h5", ".json", ".tflite")))


def find_pair(path: Path | str) -> Pair:
    """The pair that `path` means: its .h5, its .json, or a folder, where the newest one counts.

    Newest by the time in the name, model_<time>_..., then by the file's. Raises UserError.
    """
    path = Path(path)
    if path.is_dir():
        path = _newest(path)
    if path.suffix not in (".h5", ".json"):
        raise UserError(f"no model at {path}: expected a .h5, its .json, or a folder with pairs")
    pair = Pair.at(path.parent, path.stem)
    for half in (pair.weights, pair.architecture):
        if not half.is_file():
            raise UserError(f"no model at {path}: {half.name} is not in {path.parent}/")
    return pair


def default_pair() -> Path:
    """The .h5 of the pretrained pair that is used where nobody names another.

    It lies in the installed package, or in pretrained/ of a checkout; pretrained/MODEL_CARD.md
    says what it learnt from.
    """
    package = Path(__file__).resolve().parent.parent
    inside = package / "pretrained" / DEFAULT_NAME
    return inside if inside.is_file() else package.parent / "pretrained" / DEFAULT_NAME


def read_architecture(pair: Pair) -> Architecture:
    """The .json of the pair as a dict. Raises UserError if it is too large or not JSON."""
    path = pair.architecture
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


def _newest(folder: Path) -> Path:
    halves = [path for path in folder.glob("*.json") if path.is_file()]
    pairs = [path for path in halves if path.with_suffix(".h5").is_file()]
    if not pairs:
        raise UserError(f"no model in {folder}/: expected a .h5 with a .json of the same name")
    return max(pairs, key=lambda path: (_time_in(path.name), path.stat().st_mtime))


def _time_in(name: str) -> str:
    """The time in model_<time>_..., '' in other names; ISO 8601 sorts as text.

    Only the digits are compared, since the first original wrote the same time with colons.
    """
    parts = name.split("_")
    is_ours = parts[0] == "model" and len(parts) > 2
    return "".join(filter(str.isdigit, parts[1])) if is_ours else ""
