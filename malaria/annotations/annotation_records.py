"""annotation_records: what a file tells of the boxes in an image, as it stands there."""

from collections.abc import Callable, Sequence
from math import isfinite
from typing import NamedTuple

from malaria.annotations.cell_kinds import Kind
from malaria.pictures.box import Box
from malaria.pictures.remote_path import AnyPath

# Of one image, and of all.
MOST, MOST_IN_ALL = 10_000, 2_000_000
# A box that reaches less than this beyond its image, in pixels, is there by rounding.
ROUNDING = 1


class Rectangle(NamedTuple):
    """A box as a file tells it: pixels, or shares of the image's sides; any numbers at all."""

    left: float
    top: float
    width: float
    height: float
    label: str | None = None


class Content(NamedTuple):
    """What a file tells of one image. size: (width, height) that the pixels are of, if known.

    are_shares: the rectangles are in shares of the image's sides. is_complete: every cell has one.
    """

    rectangles: Sequence[Rectangle]
    size: tuple[int, int] | None = None
    are_shares: bool = False
    is_complete: bool = True


class Record(NamedTuple):
    """One annotated image. name: as the file tells it. place: where that name leads.

    content: a function that reads it where a folder has a file for each image. by_stem: the name
    and the place are without the ending of the image. file: of a mask, which is an image too.
    """

    name: str
    place: AnyPath
    content: Content | Callable[[], Content]
    by_stem: bool = False
    file: AnyPath | None = None

    def read(self) -> Content:
        """What the file tells. Raises UserError."""
        return self.content if isinstance(self.content, Content) else self.content()


class Annotated(NamedTuple):
    """One box in its image, pixels."""

    box: Box
    label: str | None
    kind: Kind


def clip(one: Rectangle, scale: tuple[int, int], size: tuple[int, int]) -> tuple[Box | None, bool]:
    """(the part of the rectangle that lies in the image or None, whether it reaches beyond)."""
    left, right = scale[0] * one.left, scale[0] * (one.left + one.width)
    top, bottom = scale[1] * one.top, scale[1] * (one.top + one.height)
    if not all(map(isfinite, (left, top, right, bottom))):
        return None, False
    (x0, x1), (y0, y1) = (
        [round(min(max(end, 0), side)) for end in ends]
        for ends, side in zip(((left, right), (top, bottom)), size, strict=True)
    )
    if x1 <= x0 or y1 <= y0:
        return None, False
    beyond = max(-left, -top, right - size[0], bottom - size[1])
    return Box(x0, y0, x1 - x0, y1 - y0), beyond > ROUNDING
