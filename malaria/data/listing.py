"""listing: the images that a table, a text with a path on each line, or stdin names."""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from malaria.base.errors import UserError
from malaria.base.text import printable, quote
from malaria.data.spellings import clean, spellings
from malaria.data.tables import (
    MOST_EMPTY,
    Header,
    Row,
    begins_like_a_table,
    is_table,
    lines_of,
    open_lines,
    open_table,
)
from malaria.pictures.cell_in_field import CellInField
from malaria.pictures.folders import not_empty
from malaria.pictures.passed_over import PassedOver
from malaria.pictures.remote_path import AnyPath, FilePath, RemotePath, to_path

STDIN = "-"


@dataclass(frozen=True)
class Entry:
    """One line of a list; None where it has no such column."""

    path: AnyPath
    label: str | None = None
    patient: str | None = None


class Listing:
    """The images that a table with a column path, or a text with a path a line, names.

    A text is a table too if its first line has a column path and another: spreadsheets call what
    they write in UTF-16 .txt.

    It is read line by line each time it is gone through, so it may be longer than the memory.
    Relative paths of a table start from the table, of a text from where we are; what is not there
    is looked for in the other place too, and under other spellings of its name. Those of a list on
    another machine start from the list.
    says: of "label" and "patient", those that it has a column for.
    """

    def __init__(
        self, path: FilePath, *, is_a_table: bool = False, of_fields: bool = False
    ) -> None:
        """is_a_table: whatever its name and its first line are. of_fields: of cells, their fields.

        Raises UserError if it cannot be read, has no column path, or names nothing.
        """
        self.path, self._of_fields = path, of_fields
        self._is_table = is_a_table or is_table(path) or begins_like_a_table(path)
        self.header: Header | None = None
        if self._is_table:
            with open_table(path) as (header, _):
                self.header = header
        self.says = frozenset(self.header.places if self.header else ()) - {"path"}
        not_empty(iter(self), f"no images are named in {printable(path)}: expected a path a line")

    def expect(self, column: str) -> None:
        """Raise UserError if it has no such column."""
        if self.header is None:
            raise UserError(
                f"{printable(self.path)}: expected a table with a column {column}; found a list of "
                "paths"
            )
        self.header.expect(column, self.path)

    def __iter__(self) -> Iterator[Entry]:
        return self.read(PassedOver())

    def read(self, passed_over: PassedOver) -> Iterator[Entry]:
        """The lines in turn. passed_over: counts rows that say something, but no path."""
        for text, row in self.rows(passed_over):
            place = find_place(text, self.path, is_beside=self._is_table)
            path: AnyPath = place
            if row.box is not None and not self._of_fields:
                path = CellInField(self._check_field(place), row.box)
            yield Entry(path, clean(row.label), clean(row.patient))

    def _check_field(self, place: FilePath) -> Path:
        if not isinstance(place, Path):
            raise UserError(
                f"{printable(self.path)}: boxes are of fields on this machine; received "
                f"{printable(place)}"
            )
        return place

    def rows(self, passed_over: PassedOver) -> Iterator[tuple[str, Row]]:
        """As `read`: the path, and all of the row, as the texts stand there."""
        if self._is_table:
            with open_table(self.path) as (_, rows):
                yield from _named(rows, self.path, passed_over)
        else:
            with open_lines(self.path) as lines:
                yield from _named(_read_lines(lines), self.path)


class Stdin:
    """The images named on stdin, a path a line, each of which comes once."""

    says: frozenset[str] = frozenset()

    def __init__(self) -> None:
        """Raises UserError if there are none."""
        lines = lines_of(sys.stdin.buffer.readline, "stdin")
        texts = (line.decode("utf-8", "surrogateescape").removeprefix("\ufeff") for line in lines)
        named, here = _named(_read_lines(texts), "stdin"), Path(STDIN)
        entries = (Entry(find_place(text, here, is_beside=False)) for text, _ in named)
        self._entries = not_empty(entries, "no images are named in stdin: expected a path a line")

    def __iter__(self) -> Iterator[Entry]:
        return self._entries

    def read(self, passed_over: PassedOver) -> Iterator[Entry]:
        """The lines in turn, once."""
        return self._entries


def _read_lines(lines: Iterator[str]) -> Iterator[Row]:
    for line in lines:
        text = line.rstrip("\r\n")
        yield Row(None if text.startswith("#") else text)


def _named(
    rows: Iterator[Row], name: object, passed_over: PassedOver | None = None
) -> Iterator[tuple[str, Row]]:
    """The rows that have a path. Raises UserError if too many in turn have none."""
    empty = 0
    for row in rows:
        if row.path and not row.path.isspace():
            empty = 0
            yield row.path, row
            continue
        if passed_over and (row.label or row.patient):
            passed_over.nameless += 1
        empty += 1
        if empty == MOST_EMPTY:
            raise UserError(f"{printable(name)}: {empty:,} lines in turn that name no image")


def find_place(text: str, listing: FilePath, *, is_beside: bool) -> FilePath:
    """Where a path of a list leads: of one on another machine never here. Raises UserError.

    is_beside: it is looked for beside the list first, else where we are.
    """
    path = to_path(text.strip())
    if isinstance(path, RemotePath):
        return path
    if isinstance(listing, RemotePath):
        return _place_there(Path(text.strip().replace("\\", "/")), listing)
    starts = (listing.parent, Path()) if is_beside else (Path(), listing.parent)
    for spelled in spellings(text):
        for start in dict.fromkeys(starts):
            if os.path.lexists(place := start / spelled):
                return place
    return Path(text)


def _place_there(path: Path, listing: RemotePath) -> RemotePath:
    if path.is_absolute():
        raise UserError(
            f"{printable(listing)}: expected URLs, or paths that start from the list; received "
            f"{quote(path)}"
        )
    place = listing.parent
    for part in path.parts:
        place = place.parent if part == ".." else place / part
    return place
