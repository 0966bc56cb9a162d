"""label_table: labels.csv, the labels that people gave to cells, a row a cell."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple
from math import isfinite
from pathlib import Path
from typing import NamedTuple

from malaria.annotations.annotation_records import MOST_IN_ALL
from malaria.annotations.cell_kinds import NO_CELL
from malaria.base.errors import UserError
from malaria.base.files import plain_cell, write_csv
from malaria.base.text import printable, quote
from malaria.data.tables import TABLES, open_cells, parse_box
from malaria.pictures.box import Box
from malaria.pictures.cell_in_field import CellInField
from malaria.pictures.remote_path import AnyPath, RemotePath, real_name, to_path

COLUMNS = (
    *("path", "left", "top", "width", "height", "label", "patient", "who", "when", "why"),
    *("called", "probability", "stands_for"),
)
# Why a cell was chosen: the figures are of the first ones only.
RANDOM, DOUBT = "random", "doubt"
# Of a cell that its viewer could not tell, or did not want to.
SKIPPED = ""
# The same for the same cell, however its path is spelled.
Key = tuple[str, Box | None]


def key_of(path: AnyPath, box: Box | None) -> Key:
    """What tells a cell from all others."""
    return real_name(path), box


class LabelRow(NamedTuple):
    """One cell and its label.

    box: None where the image is one cell. label: of the model, NO_CELL or SKIPPED. when: UTC.
    called: what the model called it when it was chosen; probability: of the positive label, 0..1.
    stands_for: how many cells of all a random one stands for.
    """

    path: AnyPath
    box: Box | None
    label: str
    patient: str | None
    who: str
    when: str
    why: str
    called: str
    probability: float | None
    stands_for: float | None = None

    @property
    def key(self) -> Key:
        return key_of(self.path, self.box)

    @property
    def image(self) -> AnyPath:
        """What names the cell as an image. Raises UserError for one in a field elsewhere."""
        if self.box is None:
            return self.path
        if not isinstance(self.path, Path):
            raise UserError(
                f"{printable(self.path)}: a field on another machine: bring it to this one"
            )
        return CellInField(self.path, self.box)


def is_label_table(name: str) -> bool:
    """Whether the file is a table as we write it, by its first line. Raises UserError."""
    path = Path(name)
    if path.suffix.lower() not in TABLES or not path.is_file():
        return False
    with open_cells(path) as (header, _):
        return tuple(header.columns) == COLUMNS


def write_labels(path: Path, rows: Iterable[LabelRow]) -> None:
    """Write the table, whole or not at all. Raises UserError.

    Paths are relative to its folder where they lie below it, else absolute.
    """
    folder = path.parent.absolute()
    write_csv(path, COLUMNS, [_cells(row, folder) for row in rows])


def _cells(row: LabelRow, folder: Path) -> list[object]:
    sides = astuple(row.box) if row.box else (None,) * 4
    return [_name_from(folder, row.path), *sides, *row[2:]]


def _name_from(folder: Path, path: AnyPath) -> str:
    if isinstance(path, RemotePath):
        return path.url
    # Without resolving ..: where a link comes before it, that leads elsewhere.
    whole = Path(path).absolute()
    is_below = whole.is_relative_to(folder)
    return (whole.relative_to(folder) if is_below else whole).as_posix()


def read_labels(path: Path) -> dict[Key, LabelRow]:
    """The rows of a table in their order. Raises UserError for one that is not as we write it."""
    rows: dict[Key, LabelRow] = {}
    with open_cells(path) as (header, lines):
        if tuple(header.columns) != COLUMNS:
            raise UserError(
                f"{printable(path)}: expected the columns {', '.join(COLUMNS)}; found "
                f"{', '.join(map(quote, header.columns[:20])) or 'none'}: name another file"
            )
        for count, cells in enumerate(lines, start=2):
            if not any(cells):
                continue
            where = f"{printable(path)}, row {count:,}"
            row = _parse(where, path.parent, [plain_cell(cell) for cell in cells])
            if row.key in rows:
                raise UserError(f"{where}: the same cell as in a row above: remove one of them")
            if len(rows) == MOST_IN_ALL:
                raise UserError(f"{printable(path)}: more than {MOST_IN_ALL:,} rows")
            rows[row.key] = row
    return rows


def _parse(where: str, folder: Path, cells: Sequence[str]) -> LabelRow:
    if len(cells) != len(COLUMNS):
        raise UserError(f"{where}: expected {len(COLUMNS)} cells; received {len(cells)}")
    text = dict(zip(COLUMNS, cells, strict=True))
    name, why = text["path"], text["why"]
    if not name or "\0" in name:
        raise UserError(f"{where}: expected a path; received {quote(name)}")
    if why not in (RANDOM, DOUBT):
        raise UserError(f"{where}: expected {RANDOM} or {DOUBT} under why; received {quote(why)}")
    path = to_path(name)
    return LabelRow(
        path if isinstance(path, RemotePath) else folder / path,
        parse_box(cells[1:5], where),
        text["label"],
        text["patient"] or None,
        text["who"],
        text["when"],
        why,
        text["called"],
        _parse_number(where, text, "probability", most=1, is_needed=False),
        _parse_number(where, text, "stands_for", most=MOST_IN_ALL, is_needed=why == RANDOM),
    )


def _parse_number(
    where: str, text: Mapping[str, str], name: str, *, most: float, is_needed: bool
) -> float | None:
    if not text[name] and not is_needed:
        return None
    with suppress(ValueError):
        number = float(text[name])
        if isfinite(number) and 0 <= number <= most:
            return number
    raise UserError(
        f"{where}: expected a number from 0 to {most:,} under {name}; received {quote(text[name])}"
    )


def check_labels(path: Path, rows: Iterable[LabelRow], labels: Sequence[str]) -> None:
    """Raise UserError for a label that the model, with these ones, does not have."""
    for row in rows:
        if row.label not in (*labels, NO_CELL, SKIPPED):
            raise UserError(
                f"{printable(path)}: {quote(row.path)} has the label {quote(row.label)}: expected "
                f"{', '.join(map(quote, labels))}, {quote(NO_CELL)} or none; name another --output"
            )
