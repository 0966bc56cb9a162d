"""cell_in_field: the name of one cell in a field, where an image of its own has a Path."""

import os
from dataclasses import dataclass
from functools import total_ordering
from pathlib import Path

from malaria.pictures.box import Box


@total_ordering
@dataclass(frozen=True, eq=True)
class CellInField:
    """A cell that a table names by its field and its box; it is cut out when it is read.

    It is written as a W3C media fragment, field.jpg#xywh=left,top,width,height. For what asks about
    files it is its field, for patients too: they are told by the field's name.
    """

    field: Path
    box: Box

    def __str__(self) -> str:
        return f"{self.field}#xywh={self.box}"

    def __fspath__(self) -> str:
        return os.fspath(self.field)

    def __lt__(self, other: "CellInField | Path") -> bool:
        return _order(self) < _order(other)

    @property
    def name(self) -> str:
        return self.field.name

    @property
    def stem(self) -> str:
        return self.field.stem

    @property
    def suffix(self) -> str:
        return self.field.suffix

    @property
    def parent(self) -> Path:
        return self.field.parent

    @property
    def parts(self) -> tuple[str, ...]:
        return self.field.parts


# What names an image on this machine.
ImagePath = Path | CellInField


def or_field(patient: str | None, path: object) -> str | None:
    """The patient; of a cell in a field, where none is known, that, lest it is on two sides."""
    if patient is None and isinstance(path, CellInField):
        return str(path.field)
    return patient


def _order(one: ImagePath) -> tuple[Path, tuple[int, ...]]:
    """By its field, then from the top down; a field of its own comes first."""
    if isinstance(one, Path):
        return one, ()
    box = one.box
    return one.field, (box.top, box.left, box.width, box.height)
