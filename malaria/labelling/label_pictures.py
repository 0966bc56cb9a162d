"""label_pictures: the chosen cells as JPEGs, and the field around each, made when asked for."""

from collections import defaultdict
from collections.abc import Sequence
from threading import Lock

from PIL import Image, ImageDraw

from malaria.fields.found import cut
from malaria.inference.prediction import Prediction
from malaria.outputs.html_parts import as_jpeg
from malaria.pictures.box import Box
from malaria.pictures.decode import open_field
from malaria.pictures.remote_path import AnyPath

# Of the box's side, what is shown of its surround on each side: of a cell, and of its field.
MARGIN, AROUND = 0.15, 4.0
# The longer side of a picture, pixels.
CELL_SIDE, FIELD_SIDE = 360, 900
QUALITY = 90
BOX_COLOUR = (255, 190, 0)


class LabelPictures:
    """JPEGs by the number of the cell; for several threads.

    All chosen cells of a field are cut when the first is asked for: about 10 KB each are kept.
    """

    def __init__(self, cells: Sequence[Prediction]) -> None:
        self._cells, self._kept = cells, dict[int, bytes]()
        self._lock = Lock()
        self._of_field: dict[str, list[int]] = defaultdict(list)
        for number, cell in enumerate(cells):
            self._of_field[str(cell.path)].append(number)

    def cell(self, number: int) -> bytes:
        """One cell. Raises UnreadableImageError."""
        # One at a time: two that opened one field would do the work twice.
        with self._lock:
            if number not in self._kept:
                path = self._path(number)
                field = open_field(path)
                for each in self._of_field[str(path)]:
                    self._kept[each] = _picture(field, self._cells[each].box)
            return self._kept[number]

    def around(self, number: int) -> bytes:
        """The field around a cell, with its box. Raises UnreadableImageError."""
        with self._lock:
            field = open_field(self._path(number))
        box = self._cells[number].box
        if box is None:
            return as_jpeg(_shrink(field.copy(), FIELD_SIDE), QUALITY)
        place = _widen(box, AROUND, field.size)
        part = cut(field, place)
        scale = FIELD_SIDE / max(part.size)
        part = part.resize([max(1, round(side * scale)) for side in part.size])
        left, top = scale * (box.left - place.left), scale * (box.top - place.top)
        ends = (left, top, left + scale * box.width, top + scale * box.height)
        ImageDraw.Draw(part).rectangle(ends, outline=BOX_COLOUR, width=3)
        return as_jpeg(part, QUALITY)

    def _path(self, number: int) -> AnyPath:
        path = self._cells[number].path
        assert path is not None, "chosen cells are of files"
        return path


def _picture(field: Image.Image, box: Box | None) -> bytes:
    part = field.copy() if box is None else cut(field, _widen(box, MARGIN, field.size))
    return as_jpeg(_shrink(part, CELL_SIDE), QUALITY)


def _widen(box: Box, share: float, size: tuple[int, int]) -> Box:
    """The box with so much more on each side, as far as the field goes."""
    more = round(share * max(box.width, box.height))
    left, top = max(0, box.left - more), max(0, box.top - more)
    right, bottom = (
        min(side, end + more)
        for side, end in zip(size, (box.left + box.width, box.top + box.height), strict=True)
    )
    return Box(left, top, right - left, bottom - top)


def _shrink(image: Image.Image, side: int) -> Image.Image:
    image.thumbnail((side, side))
    return image
