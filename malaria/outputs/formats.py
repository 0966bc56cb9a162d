"""formats: FORMATS, the one table of the files that --output can be, by their ending."""

import json
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, islice
from typing import Any, TextIO

from malaria.base.files import BYTE_ORDER_MARK, csv_line

# {"path", "label", "probability", "probabilities": {label: number} or None, "unlike", "note",
# "error"}, and where images are fields "box": [left, top, width, height], or None where one has no
# cells.
Row = dict[str, Any]
BOX = ("left", "top", "width", "height")
# Writes all rows into an open file; labels: of the model, in its order.
Format = Callable[[Iterable[Row], TextIO, Sequence[str]], None]


def to_csv(rows: Iterable[Row], file: TextIO, labels: Sequence[str]) -> None:
    """One line an image; no name becomes a formula, and a byte order mark at the beginning."""
    rows = iter(rows)
    first = list(islice(rows, 1))
    places = BOX if first and "box" in first[0] else ()
    of_each = (f"probability of {name}" for name in labels)
    header = ["path", *places, "label", "probability", *of_each, "unlike", "note", "error"]
    file.write(BYTE_ORDER_MARK + csv_line(header))
    for row in chain(first, rows):
        each = row["probabilities"] or dict.fromkeys(labels)
        box = row.get("box") or [None] * len(places)
        known = (row["path"], *box, row["label"], row["probability"], *each.values())
        file.write(csv_line([*known, row["unlike"], row["note"], row["error"]]))


def to_json(rows: Iterable[Row], file: TextIO, labels: Sequence[str]) -> None:
    """One array, an object an image."""
    file.write("[")
    for number, row in enumerate(rows):
        file.write((",\n" if number else "\n") + json.dumps(row))
    file.write("\n]\n")


def to_json_lines(rows: Iterable[Row], file: TextIO, labels: Sequence[str]) -> None:
    """One object a line, a line an image."""
    for row in rows:
        file.write(json.dumps(row) + "\n")


FORMATS: dict[str, Format] = {
    ".csv": to_csv,
    ".json": to_json,
    ".jsonl": to_json_lines,
}
