"""listing: lists of pictures, a .csv with a column path or a text with a path on each line."""

import csv
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TextIO

from malaria.base.errors import UserError
from malaria.base.files import plain_cell
from malaria.base.text import printable, quote

# What is read whole: a list of exclusions.
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


class Listing:
    """The pictures that a .csv with a column path, or a text with a path a line, names.

    It is read line by line each time it is gone through, so it may be longer than the memory.
    Relative paths start from where we are; what is not there is looked for beside the list too.
    says_more: whether it has a column label or patient.
    """

    def __init__(self, path: Path) -> None:
        """Raises UserError if it cannot be read, has no column path, or names nothing."""
        self.path = path
        with _open_listing(path) as file:
            columns = (csv.DictReader(file).fieldnames or ()) if is_table(path) else ()
        self.says_more = bool({"label", "patient"} & set(columns))
        _check_first(iter(self), str(path))

    def __iter__(self) -> Iterator[Entry]:
        with _open_listing(self.path) as file:
            entries = _read_table(file, self.path) if is_table(self.path) else _read_lines(file)
            for entry in entries:
                yield _beside(entry, self.path.parent)


class Stdin:
    """The pictures named on stdin, a path a line, each of which comes once."""

    says_more = False

    def __init__(self) -> None:
        """Raises UserError if there are none."""
        lines = (line.decode("utf-8", "surrogateescape") for line in sys.stdin.buffer)
        self._entries = _check_first(_read_lines(lines), "stdin")

    def __iter__(self) -> Iterator[Entry]:
        return self._entries


@contextmanager
def _open_listing(path: Path) -> Iterator[TextIO]:
    """The text of a regular file, UTF-8; other bytes are kept as they are. Raises UserError."""
    newline = "" if is_table(path) else None
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise UserError(f"{path} is not a regular file: expected a list of pictures")
        with open(path, encoding="utf-8-sig", errors="surrogateescape", newline=newline) as file:
            yield file
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None


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


def _read_table(file: TextIO, path: Path) -> Iterator[Entry]:
    rows = csv.DictReader(file)
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
    names = (line.rstrip("\r\n") for line in lines if not line.startswith("#"))
    return (Entry(Path(name)) for name in names if name.strip())


def _beside(entry: Entry, folder: Path) -> Entry:
    """The entry as it is, or with its path from the list's own folder if only that exists."""
    if entry.path.is_absolute() or os.path.lexists(entry.path):
        return entry
    beside = folder / entry.path
    return Entry(beside, entry.label, entry.patient) if os.path.lexists(beside) else entry


def _check_first(entries: Iterator[Entry], name: str) -> Iterator[Entry]:
    """The same entries. Raises UserError if there are none."""
    first = next(entries, None)
    if first is None:
        raise UserError(f"no pictures are named in {printable(name)}: expected a path a line")
    return chain([first], entries)


def check_list_labels(entries: Sequence[Entry], labels: Sequence[str], name: str) -> None:
    """Raise UserError if an entry has no label, or one that is none of `labels`."""
    for number, entry in enumerate(entries, start=1):
        if entry.label not in labels:
            received = "none" if entry.label is None else quote(entry.label)
            raise UserError(
                f"{name}, picture {number}: expected a label of {list(labels)}; received {received}"
            )
