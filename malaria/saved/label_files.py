"""label_files: the names of a stranger's labels, from the small file that lies beside the model."""

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from malaria.base.errors import UsageError, UserError
from malaria.base.files import open_regular
from malaria.base.text import printable
from malaria.saved.pair import Pair

NAMES = (
    *("labels.txt", "class_names.txt", "classes.txt", "label_map.txt", "class_indices.json"),
    *("labels.json", "class_names.json", "classes.json", "label_map.json", "metadata.json"),
    "config.json",
)
# Under one of these keys a JSON may hold the names.
KEYS = ("labels", "classes", "class_names", "class_indices", "id2label")
MAX_BYTES, MAX_LENGTH = 100_000, 100
# Names that are listed in a message; the rest are counted by the eye.
LISTED = 10


def find_labels(pair: Pair, count: int) -> tuple[str, ...] | None:
    """The names of `count` labels by a file beside the model, or None where there is none.

    Raises UsageError where two files name other labels, and where more than two labels have none.
    """
    read = {path: _read(path) for path in _paths(pair)}
    found = {path: labels for path, labels in read.items() if labels}
    fitting = {path: labels for path, labels in found.items() if len(labels) == count}
    if len(set(fitting.values())) == 1:
        return next(iter(fitting.values()))
    if fitting or count > 2:
        letters = ",".join(chr(ord("A") + n) for n in range(min(count, LISTED)))
        others = ",..." if count > LISTED else ""
        told = "".join(f"; {path.name} beside it: {_option(found[path])}" for path in found)
        raise UsageError(f"name the model's {count} labels: --labels={letters}{others}{told}")
    return None


def describe_source(pair: Pair, labels: Sequence[str]) -> str:
    """The file that says these labels, and the labels, in one line for people."""
    [path, *_] = [path for path in _paths(pair) if _read(path) == tuple(labels)]
    return f"{printable(path)} names the model's labels: {printable(', '.join(labels))}"


def _option(labels: Sequence[str]) -> str:
    """As it is typed on a command line."""
    more = ",..." if len(labels) > LISTED else ""
    return f"--labels={printable(shlex.quote(','.join(labels[:LISTED])))}{more}"


def _paths(pair: Pair) -> list[Path]:
    own = [f"{pair.weights.stem}_{name}" for name in NAMES]
    return [path for name in (*own, *NAMES) if (path := pair.weights.with_name(name)).is_file()]


def _read(path: Path) -> tuple[str, ...] | None:
    """The names in one file, or None if they are not what names of labels are."""
    try:
        with open_regular(path, MAX_BYTES) as file:
            text = file.read().decode("utf-8-sig")
        names = _from_json(json.loads(text)) if path.suffix == ".json" else _from_lines(text)
    except (OSError, UserError, ValueError, RecursionError):
        return None
    is_each_fine = all(
        isinstance(name, str) and 0 < len(name) <= MAX_LENGTH and name.isprintable()
        for name in names
    )
    return tuple(names) if is_each_fine and len(set(names)) == len(names) > 1 else None


def _from_lines(text: str) -> list[str]:
    """A name a line, without the numbers 0, 1, ... that Teachable Machine writes before them.

    Or all of them in one line, between commas.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) == 1:
        return [name.strip() for name in lines[0].split(",")]
    parts = [re.fullmatch(r"(\d+)[\s:,]\s*(.+)", line) for line in lines]
    if [part and int(part[1]) for part in parts] == list(range(len(lines))):
        return [part[2] for part in parts if part]
    return lines


def _from_json(content: Any) -> list[Any]:
    """From ["a", "b"], {"a": 0, "b": 1}, {"0": "a", "1": "b"}, or one of these under a key."""
    if isinstance(content, dict):
        for key in KEYS:
            if isinstance(content.get(key), (dict, list)):
                return _from_json(content[key])
        numbers = list(map(str, range(len(content))))
        if sorted(content) == sorted(numbers):
            return [content[number] for number in numbers]
        if all(type(value) is int for value in content.values()):
            named = {value: name for name, value in content.items()}
            return [named.get(number) for number in range(len(content))]
        return []
    return content if isinstance(content, list) else []
