"""listing: lists of pictures, a .csv with a column path or a text with a path on each line."""

import csv
import io
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from malaria.base.errors import UserError
from malaria.base.files import plain_cell
from malaria.base.text import printable, quote
from malaria.data.limits import UnreadableImageError
from malaria.data.remote_path import AnyPath, RemotePath, to_path

# Of ten million paths; a list is held in memory.
MAX_BYTES = 500_000_000
STDIN = "-"


@dataclass(frozen=True)
class Entry:
    """One line of a list. label, patient: as the columns of that name say, else None."""

    path: AnyPath
    label: str | None = None
    patient: str | None = None


def is_table(path: AnyPath) -> bool:
    """Whether this is a .csv, by its ending."""
    return path.suffix.lower() == ".csv"


def read_listing(path: AnyPath) -> list[Entry]:
    """The pictures that a .csv with a column path, or a text with a path a line, names.

    Relative paths start from where we are; what is not there is looked for beside the list too.
    Those of a list on another machine start from the list. Raises UserError if it cannot be read,
    has no column path, or names nothing.
    """
    text = read_text_file(path)
    entries = _read_table(text, path) if is_table(path) else _read_lines(text.splitlines())
    return _checked((_placed(entry, path) for entry in entries), str(path))


def read_stdin() -> list[Entry]:
    """The pictures named on stdin, a path a line. Raises UserError if there are none."""
    text = sys.stdin.buffer.read(MAX_BYTES).decode("utf-8", "surrogateescape")
    return _checked(_read_lines(text.splitlines()), "stdin")


def read_text_file(path: AnyPath, limit: int = MAX_BYTES) -> str:
    """The text of a regular file, UTF-8; other bytes are kept as they are. Raises UserError."""
    content = _read_bytes(path, limit)
    if len(content) > limit:
        raise UserError(f"{path}: more than {limit:,} bytes, no list of pictures")
    return content.decode("utf-8-sig", "surrogateescape")


def _read_bytes(path: AnyPath, limit: int) -> bytes:
    """No more than one byte above the limit."""
    if isinstance(path, RemotePath):
        return _fetch(path, limit)
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise UserError(f"{path} is not a regular file: expected a list of pictures")
        with open(path, "rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None


def _fetch(path: RemotePath, limit: int) -> bytes:
    from malaria.data.remote import read_remote

    try:
        return read_remote(path, limit).read()
    except UnreadableImageError as error:
        raise UserError(f"cannot read {printable(path)}: {error}") from error


def _read_table(text: str, path: AnyPath) -> Iterator[Entry]:
    rows = csv.DictReader(io.StringIO(text, newline=""))
    try:
        if "path" not in (rows.fieldnames or ()):
            raise UserError(f"{path}: expected a column 'path' in its first line")
        for row in rows:
            if row["path"]:
                known = (plain_cell(row.get(name) or "") or None for name in ("label", "patient"))
                yield Entry(to_path(plain_cell(row["path"])), *known)
    except (csv.Error, ValueError) as error:
        raise UserError(f"cannot read {path}: line {rows.line_num}: {error}") from None


def _read_lines(lines: Iterable[str]) -> Iterator[Entry]:
    return (Entry(to_path(line)) for line in lines if line.strip() and not line.startswith("#"))


def _placed(entry: Entry, listing: AnyPath) -> Entry:
    """The entry as it is, or with its path from the list's own folder if only that exists."""
    if isinstance(entry.path, RemotePath):
        return entry
    if isinstance(listing, RemotePath):
        return replace(entry, path=_remote_place(entry.path, listing))
    if entry.path.is_absolute() or os.path.lexists(entry.path):
        return entry
    beside = listing.parent / entry.path
    return replace(entry, path=beside) if os.path.lexists(beside) else entry


def _remote_place(path: Path, listing: RemotePath) -> RemotePath:
    """Where a path in a list of another machine is: never here. Raises UserError."""
    if path.is_absolute():
        raise UserError(
            f"{printable(listing)}: expected URLs, or paths that start from the list; received "
            f"{quote(path)}"
        )
    place = listing.parent
    for part in path.parts:
        place = place.parent if part == ".." else place / part
    return place


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
