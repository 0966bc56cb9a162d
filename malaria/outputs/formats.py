"""formats: FORMATS, the one table of the files that --output can be, by their ending."""

import json
from collections.abc import Iterable, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol, TextIO

from malaria.base.errors import UsageError
from malaria.base.files import csv_line
from malaria.base.text import quote

# {"path", "label", "probability", "probabilities": {label: number} or None, "unlike", "error"}, and
# where pictures are fields "box": [left, top, width, height], or None where one has no cells.
Row = dict[str, Any]
BOX = ("left", "top", "width", "height")


class Format(Protocol):
    """One kind of file."""

    def write(self, rows: Iterable[Row], file: TextIO, labels: Sequence[str]) -> None:
        """Write all rows into an open file. labels: of the model, in its order."""


class Csv:
    """One line a picture; no name becomes a formula."""

    def write(self, rows: Iterable[Row], file: TextIO, labels: Sequence[str]) -> None:
        """As Format.write."""
        of_each = (f"probability of {name}" for name in labels)
        rows = iter(rows)
        first = list(islice(rows, 1))
        places = BOX if first and "box" in first[0] else ()
        header = ["path", *places, "label", "probability", *of_each, "unlike", "error"]
        file.write(csv_line(header))
        for row in chain(first, rows):
            each = row["probabilities"] or dict.fromkeys(labels)
            box = row.get("box") or [None] * len(places)
            known = (row["path"], *box, row["label"], row["probability"], *each.values())
            file.write(csv_line([*known, row["unlike"], row["error"]]))


class Json:
    """One array, an object a picture."""

    def write(self, rows: Iterable[Row], file: TextIO, labels: Sequence[str]) -> None:
        """As Format.write."""
        file.write("[")
        for number, row in enumerate(rows):
            file.write((",\n" if number else "\n") + json.dumps(row))
        file.write("\n]\n")


class JsonLines:
    """One object a line, a line a picture."""

    def write(self, rows: Iterable[Row], file: TextIO, labels: Sequence[str]) -> None:
        """As Format.write."""
        for row in rows:
            file.write(json.dumps(row) + "\n")


FORMATS: dict[str, Format] = {
    ".csv": Csv(),
    ".json": Json(),
    ".jsonl": JsonLines(),
}


def format_of(path: Path) -> Format:
    """The Format for the ending of `path`, in any case. Raises UsageError for an unknown one."""
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise UsageError(
            f"expected a name ending in {' or '.join(FORMATS)}; received {quote(path)}"
        )
    return FORMATS[suffix]
