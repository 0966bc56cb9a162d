"""tables: texts with rows or lines, as spreadsheets of many countries write them, read in turn."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from typing import AnyStr, BinaryIO, NamedTuple

from malaria.base.errors import UserError
from malaria.base.files import plain_cell
from malaria.base.text import printable, quote
from malaria.pictures.box import Box
from malaria.pictures.limits import UnreadableImageError, open_regular
from malaria.pictures.remote_files import read_remote
from malaria.pictures.remote_path import FilePath, RemotePath

TABLES = (".csv", ".tsv")
SPREADSHEETS = (".xlsx", ".xlsm", ".xls", ".ods", ".numbers")
# The first names are ours. Case, blanks, hyphens and underscores do not count.
COLUMNS = {
    "path": ("path", "file", "filename", "filepath", "image", "imagename", "imagepath"),
    "label": ("label", "class", "classname", "category", "diagnosis"),
    "patient": ("patient", "patientid", "subject", "subjectid"),
}
# Of a table of cells in fields.
BOX_COLUMNS = {name: (name,) for name in ("left", "top", "width", "height")}
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
# A list on another machine is read whole.
MAX_BYTES = 500_000_000
# Of a line, and of a row of several lines, in characters: no path is so long.
LONGEST = 65_536
# Blank lines before the header.
MOST_BLANK = 1000
# Lines in turn that name nothing. Spreadsheets end with up to a million of them.
MOST_EMPTY = 2_000_000
# How a zip, as .xlsx is one, and an older .xls begin, whatever they are called.
NO_TEXT = (b"PK\3\4", b"\xd0\xcf\x11\xe0")


def is_table(path: FilePath) -> bool:
    """Whether the name is that of a table, or of a spreadsheet, which is refused when opened."""
    return path.suffix.lower() in (*TABLES, *SPREADSHEETS)


@contextmanager
def open_lines(path: FilePath) -> Iterator[Iterator[str]]:
    """The lines of a regular file, one at a time; of a file of another machine, read whole.

    UTF-8 or, as its first bytes tell, UTF-16; bytes that are neither are kept by surrogateescape.
    Raises UserError.
    """
    with _open(path) as file:
        first = file.read(4)
        file.seek(0)
        if path.suffix.lower() in SPREADSHEETS or first.startswith(NO_TEXT):
            raise UserError(f"{printable(path)}: a spreadsheet, no text: save it as CSV (UTF-8)")
        encoding = _encoding_of(first)
        errors = "surrogateescape" if encoding == "utf-8-sig" else "replace"
        with io.TextIOWrapper(file, encoding, errors, newline="") as text:
            yield lines_of(text.readline, path)


@contextmanager
def _open(path: FilePath) -> Iterator[BinaryIO]:
    try:
        if isinstance(path, RemotePath):
            yield read_remote(path, MAX_BYTES)
            return
        with open_regular(path, limit=None) as file:
            yield file
    except (UnreadableImageError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"cannot read {printable(path)}: {reason}") from error


def _encoding_of(first: bytes) -> str:
    if first[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    # Without a mark, letters of a header have a zero byte each.
    zeros = [byte == 0 for byte in first]
    if zeros == [False, True] * 2:
        return "utf-16-le"
    return "utf-16-be" if zeros == [True, False] * 2 else "utf-8-sig"


def lines_of(readline: Callable[[int], AnyStr], name: object) -> Iterator[AnyStr]:
    """The lines that `readline` gives, none of which could fill the memory. Raises UserError."""
    while line := readline(LONGEST):
        if len(line) == LONGEST:
            what = f"a line of {LONGEST:,} characters or more, no list of images"
            raise UserError(f"{printable(name)}: {what}")
        yield line


@dataclass(frozen=True)
class Header:
    """The columns of a table, and what parts them."""

    separator: str
    columns: Sequence[str]

    @classmethod
    def of(cls, line: str, separator: str) -> "Header":
        """The header that a single line is."""
        return cls(separator, next(csv.reader([line], delimiter=separator), []))

    @cached_property
    def places(self) -> dict[str, int]:
        """{key of COLUMNS: index of the column that is called so}."""
        return self.find(COLUMNS)

    def find(self, columns: Mapping[str, Sequence[str]]) -> dict[str, int]:
        """{key: index of the first column that has one of its names}, of those that are there."""
        plain = [re.sub(r"[\s_\-\ufeff]", "", name).casefold() for name in self.columns]
        found = {key: [one for one in known if one in plain] for key, known in columns.items()}
        return {key: plain.index(names[0]) for key, names in found.items() if names}

    def expect(
        self, key: str, table: object, columns: Mapping[str, Sequence[str]] = COLUMNS
    ) -> None:
        """Raise UserError if the table has no such column."""
        if key not in self.find(columns):
            name, *others = columns[key]
            found = ", ".join(map(quote, self.columns[:20])) or "none"
            between = SEPARATORS.get(self.separator, quote(self.separator))
            more = f" (or {', '.join(others)})" if others else ""
            raise UserError(
                f"{printable(table)}: expected a column {quote(name)} in its first line{more}; "
                f"found {found}, separated by {between}"
            )


class Row(NamedTuple):
    """The texts of a row as they stand there; None where it has no such cell.

    box: of a cell in the field at `path`, where the table has all of BOX_COLUMNS.
    """

    path: str | None
    label: str | None = None
    patient: str | None = None
    box: Box | None = None


@contextmanager
def open_table(path: FilePath) -> Iterator[tuple[Header, Iterator[Row]]]:
    """The header of a table, and the rows below it. Raises UserError, also while they are read."""
    with open_cells(path) as (header, cells):
        header.expect("path", path)
        places = [header.places.get(key) for key in COLUMNS]
        sides = header.find(BOX_COLUMNS)
        boxes = [sides[key] for key in BOX_COLUMNS] if len(sides) == len(BOX_COLUMNS) else []

        def read(row: list[str]) -> Row:
            box = parse_box([cell_at(row, place) for place in boxes], path)
            name, label, patient = (cell_at(row, place) for place in places)
            return Row(name, label, patient, box)

        yield header, map(read, cells)


@contextmanager
def open_cells(path: FilePath) -> Iterator[tuple[Header, Iterator[list[str]]]]:
    """The header of a table, and all cells of each row below it. Raises as open_table."""
    with open_lines(path) as lines:
        separator, lines = _find_separator(lines)
        cells = _read_cells(lines, separator, path)
        yield Header(separator, next(cells, [])), cells


def begins_like_a_table(path: FilePath) -> bool:
    """Whether the first line names a path and a label or a patient. Raises UserError."""
    with open_lines(path) as lines:
        separator, lines = _find_separator(lines)
        places = Header.of(next(lines), separator).places
    return "path" in places and len(places) > 1


def _find_separator(lines: Iterator[str]) -> tuple[str, Iterator[str]]:
    """The separator of a table, and all lines from its header on.

    It is the one of a line like "sep=;" before the header, else the one that gives a column path,
    else the one that gives most columns.
    """
    first = filter(str.strip, islice(lines, MOST_BLANK))
    line = next(first, "")
    if told := re.fullmatch(r'"?sep=(.)"?\s*', line, re.IGNORECASE | re.DOTALL):
        return told[1], chain([next(first, "")], lines)

    def worth(separator: str) -> tuple[bool, int]:
        header = Header.of(line, separator)
        return "path" in header.places, len(header.columns)

    return max(SEPARATORS, key=worth), chain([line], lines)


def _read_cells(lines: Iterator[str], separator: str, table: object) -> Iterator[list[str]]:
    """The cells of each row. Raises UserError, also for a row that could fill the memory."""
    taken = 0

    def bounded() -> Iterator[str]:
        nonlocal taken
        for line in lines:
            taken += len(line)
            if taken > 2 * LONGEST:
                raise csv.Error(f"a row of {taken:,} characters; is a quotation mark missing?")
            yield line

    rows = csv.reader(bounded(), delimiter=separator)
    try:
        for row in rows:
            taken = 0
            yield row
    except (csv.Error, ValueError) as error:
        raise UserError(f"cannot read {printable(table)}: line {rows.line_num}: {error}") from None


def parse_box(sides: Sequence[str | None], table: object) -> Box | None:
    """The box of a row, of its four texts; None where all are empty.

    Raises UserError for what is no number, or of no size.
    """
    if not any(sides):
        return None
    with suppress(ValueError, OverflowError):
        left, top, width, height = (float(side or "") for side in sides)
        x, y = round(left), round(top)
        box = Box(x, y, round(left + width) - x, round(top + height) - y)
        if box.width > 0 and box.height > 0:
            return box
    raise UserError(
        f"{printable(table)}: expected left, top, width and height of a cell, in pixels; received "
        f"{', '.join(quote(side or '') for side in sides)}"
    )


def cell_at(row: Sequence[str], place: int | None) -> str | None:
    """The text at a place of a row as its writer meant it; None where it is empty."""
    if place is None or place >= len(row):
        return None
    return plain_cell(row[place]) or None
