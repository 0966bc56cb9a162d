"""listing: lists of pictures, a .csv with a column path or a text with a path on each line."""

import csv
import io
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from malaria.base.errors import UserError
from malaria.base.files import plain_cell
from malaria.base.text import printable, quote

# Of ten million paths; a list is held in memory.
MAX_BYTES = 500_000_000
STDIN = "-"


@dataclass(frozen=True)
class Entry:
    """One line of a list. label, patient: as the columns of that name say, else None."""

    path: Path
    label: str | None = None
    patient: str | None = None


def is_table(path: Path) -> bool:
    """Whether this is a .csv, by its ending."""
    return path.suffix.lower() == ".csv"


def read_listing(path: Path) -> list[Entry]:
    """The pictures that a .csv with a column path, or a text with a path a line, names.

    Relative paths start from where we are; what is not there is looked for beside the list too.
    Raises UserError if it cannot be read, has no column path, or names nothing.
    """
    text = read_text_file(path)
    entries = _read_table(text, path) if is_table(path) else _read_lines(text.splitlines())
    return _checked((_beside(entry, path.parent) for entry in entries), str(path))


def read_stdin() -> list[Entry]:
    """The pictures named on stdin, a path a line. Raises UserError if there are none."""
    text = sys.stdin.buffer.read(MAX_BYTES).decode("utf-8", "surrogateescape")
    return _checked(_read_lines(text.splitlines()), "stdin")


def read_text_file(path: Path, limit: int = MAX_BYTES) -> str:
    """The text of a regular file, UTF-8; other bytes are kept as they are. Raises UserError."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise UserError(f"{path} is not a regular file: expected a list of pictures")
        with open(path, "rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    if len(content) > limit:
        raise UserError(f"{path}: more than {limit:,} bytes, no list of pictures")
    return content.decode("utf-8-sig", "surrogateescape")


def _read_table(text: str, path: Path) -> Iterator[Entry]:
    rows = csv.DictReader(io.StringIO(text, newline=""))
    try:
        if "path" not in (rows.fieldnames or ()):
            raise UserError(f"{path}: expected a column 'path' in its first line")
        for row in rows:
            if row["path"]:
                known = (plain_cell(row.get(name) or "") or None for name in ("label", "patient"))
                yield Entry(Path(plain_cell(row["path"])), *known)
    except (csv.Error, ValueError) as error:
        raise UserError(f"cannot read {path}: line {rows.line_num}: {error}") from None


def _read_lines(lines: Iterable[str]) -> Iterator[Entry]:
    return (Entry(Path(line)) for line in lines if line.strip() and not line.startswith("#"))


def _beside(entry: Entry, folder: Path) -> Entry:
    """The entry as it is, or with its path from the list's own folder if only that exists."""
    if entry.path.is_absolute() or os.path.lexists(entry.path):
        return entry
    beside = folder / entry.path
    return Entry(beside, entry.label, entry.patient) if os.path.lexists(beside) else entry


def _checked(entries: Iterable[Entry], name: str) -> list[Entry]:
    found = list(entries)
    if not found:
        raise UserError(f"no pictures are named in {printable(name)}: expected a path a line")
    return found


def check_list_labels(entries: Sequence[Entry], labels: Sequence[str], name: str) -> None:
    """Raise UserError if an entry has no label, or one that is none of `labels`."""
    for number, entry in enumerate(entries, start=1):
        if entry.label not in labels:
            received = "none" if entry.label is None else quote(entry.label)
            raise UserError(
                f"{name}, picture {number}: expected a label of {list(labels)}; received {received}"
            )
