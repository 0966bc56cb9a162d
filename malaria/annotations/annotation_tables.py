"""annotation_tables: a table of boxes, a row a cell: path, left, top, width, height, label."""

from pathlib import Path

from malaria.annotations.annotation_files import record_of
from malaria.annotations.annotation_records import MOST_IN_ALL, Content, Record, Rectangle
from malaria.base.errors import UserError
from malaria.base.text import printable, quote
from malaria.data.tables import BOX_COLUMNS, COLUMNS, cell_at, open_cells


def read_table(path: Path) -> list[Record]:
    """The records of a table with the columns path, left, top, width and height. Raises UserError.

    A row without a box is of an image in which there are none.
    """
    boxes: dict[str, list[Rectangle]] = {}
    with open_cells(path) as (header, rows):
        columns = {"path": COLUMNS["path"], **BOX_COLUMNS}
        for key in columns:
            header.expect(key, path, columns)
        places = header.find(columns | {"label": COLUMNS["label"]})
        for count, row in enumerate(rows, start=1):
            if count > MOST_IN_ALL:
                raise UserError(f"{printable(path)}: more than {MOST_IN_ALL:,} rows")
            name, *sides = (cell_at(row, places[key]) for key in columns)
            if name and (name := name.strip()):
                label = cell_at(row, places.get("label"))
                boxes.setdefault(name, []).extend(_box_of_row(path, count, sides, label))
            if "\0" in (name or ""):
                raise UserError(f"{printable(path)}, row {count:,}: {quote(name)} is no path")
    return [record_of(path, name, Content(each)) for name, each in boxes.items()]


def _box_of_row(
    path: Path, count: int, sides: list[str | None], label: str | None
) -> list[Rectangle]:
    if not any(sides):
        return []
    try:
        left, top, width, height = (float(side or "") for side in sides)
        return [Rectangle(left, top, width, height, label)]
    except ValueError:
        told = ", ".join(quote(side or "") for side in sides)
        raise UserError(
            f"{printable(path)}, row {count:,}: expected left, top, width and height, in pixels; "
            f"received {told}"
        ) from None
