"""listing: lists of images, a .csv with a column path or a text with a path on each line."""

import csv
import io
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, TextIO

from malaria.base.errors import UserError
from malaria.base.files import plain_cell
from malaria.base.text import printable, quote
from malaria.pictures.folders import not_empty
from malaria.pictures.limits import UnreadableImageError, open_regular
from malaria.pictures.remote_files import read_remote
from malaria.pictures.remote_path import AnyPath, RemotePath, to_path

# Of what is read whole: a list of exclusions, or one on another machine.
MAX_BYTES = 500_000_000
# Of a line, in characters: no path is so long.
LONGEST = 65_536
STDIN = "-"


@dataclass(frozen=True)
class Entry:
    """One line of a list; None where it has no such column."""

    path: AnyPath
    label: str | None = None
    patient: str | None = None


def is_table(path: AnyPath) -> bool:
    return path.suffix.lower() == ".csv"


class Listing:
    """The images that a .csv with a column path, or a text with a path a line, names.

    It is read line by line each time it is gone through, so it may be longer than the memory.
    Relative paths start from where we are; what is not there is looked for beside the list too.
    Those of a list on another machine, which is read whole, start from the list. says_more: whether
    it has a column label or patient.
    """

    def __init__(self, path: AnyPath) -> None:
        """Raises UserError if it cannot be read, has no column path, or names nothing."""
        self.path = path
        with _open_lines(path) as lines:
            columns = (csv.DictReader(lines).fieldnames or ()) if is_table(path) else ()
        self.says_more = bool({"label", "patient"} & set(columns))
        _check_first(iter(self), path)

    def __iter__(self) -> Iterator[Entry]:
        with _open_lines(self.path) as lines:
            entries = _read_table(lines, self.path) if is_table(self.path) else _read_lines(lines)
            for entry in entries:
                yield replace(entry, path=_place(entry.path, self.path))


class Stdin:
    """The images named on stdin, a path a line, each of which comes once."""

    says_more = False

    def __init__(self) -> None:
        """Raises UserError if there are none."""
        lines = (line.decode("utf-8", "surrogateescape") for line in sys.stdin.buffer)
        self._entries = _check_first(_read_lines(lines), "stdin")

    def __iter__(self) -> Iterator[Entry]:
        return self._entries


@contextmanager
def _open(path: AnyPath) -> Iterator[BinaryIO]:
    """A regular file; one of another machine is in memory, up to MAX_BYTES. Raises UserError."""
    try:
        if isinstance(path, RemotePath):
            yield read_remote(path, MAX_BYTES)
            return
        with open_regular(path, limit=None) as file:
            yield file
    except (UnreadableImageError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"cannot read {printable(path)}: {reason}") from error


def read_text_file(path: AnyPath) -> str:
    """The text of a regular file, UTF-8; other bytes are kept as they are. Raises UserError."""
    with _open(path) as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise UserError(f"{path}: more than {MAX_BYTES:,} bytes, no list of images")
    return content.decode("utf-8-sig", "surrogateescape")


@contextmanager
def _open_lines(path: AnyPath) -> Iterator[Iterator[str]]:
    """The lines of a list, in UTF-8; other bytes are kept as they are. Raises UserError."""
    newline = "" if is_table(path) else None
    with (
        _open(path) as file,
        io.TextIOWrapper(file, "utf-8-sig", "surrogateescape", newline) as text,
    ):
        yield _lines_of(text, path)


def _lines_of(file: TextIO, path: AnyPath) -> Iterator[str]:
    """None of them could fill the memory."""
    for line in iter(lambda: file.readline(LONGEST), ""):
        if len(line) == LONGEST:
            raise UserError(f"{path}: a line of {LONGEST:,} characters or more, no list of images")
        yield line


def _read_table(lines: Iterable[str], path: AnyPath) -> Iterator[Entry]:
    rows = csv.DictReader(lines)
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
    names = (line.rstrip("\r\n") for line in lines if not line.startswith("#"))
    return (Entry(to_path(name)) for name in names if name.strip())


def _place(path: AnyPath, listing: AnyPath) -> AnyPath:
    """Where a path of a list leads: of one on another machine never here. Raises UserError."""
    if isinstance(path, RemotePath):
        return path
    if isinstance(listing, Path):
        beside = listing.parent / path
        return beside if not os.path.lexists(path) and os.path.lexists(beside) else path
    if path.is_absolute():
        raise UserError(
            f"{printable(listing)}: expected URLs, or paths that start from the list; received "
            f"{quote(path)}"
        )
    place = listing.parent
    for part in path.parts:
        place = place.parent if part == ".." else place / part
    return place


def _check_first(entries: Iterator[Entry], name: object) -> Iterator[Entry]:
    return not_empty(entries, f"no images are named in {printable(name)}: expected a path a line")
