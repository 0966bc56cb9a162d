"""field_pictures: a field with the boxes of its cells, and its cells as files of their own."""

from collections.abc import Container, Iterable, Sequence
from dataclasses import astuple
from pathlib import Path

from PIL import ImageDraw

from malaria.base.errors import UserError
from malaria.base.files import make_folder, whole_file
from malaria.base.streams import log
from malaria.base.text import is_plain_name, printable, quote
from malaria.fields.found import cut
from malaria.inference.prediction import Prediction
from malaria.outputs.html_parts import as_jpeg
from malaria.outputs.output import Output
from malaria.pictures.decode import open_field
from malaria.pictures.folders import check_outside, find_images
from malaria.pictures.images import UnreadableImageError
from malaria.pictures.places import Places, UniqueNames
from malaria.pictures.remote_path import AnyPath

# The longer side of a field on the page, pixels.
SIDE = 1000
# Of the boxes, on light and on stained slides: of the positive label, thick; of what the network
# gives it and the guard doubts, thick too; of another label; of what has none of the model's.
POSITIVE, DOUBTED, NEGATIVE, OTHER = (200, 40, 0), (225, 140, 0), (30, 80, 200), (90, 90, 90)


def draw_boxes(
    path: AnyPath,
    cells: Iterable[Prediction],
    labels: Sequence[str],
    positive: str,
    doubted: Container[Prediction] = (),
) -> bytes:
    """The field with the boxes of its cells as a JPEG. Raises UnreadableImageError.

    doubted: those of the cells that the network calls positive and the guard no single cell.
    """
    field = open_field(path)
    scale = min(1.0, SIDE / max(field.size))
    image = field.resize([max(1, round(side * scale)) for side in field.size])
    draw = ImageDraw.Draw(image)
    styles = dict.fromkeys(labels, (NEGATIVE, 1)) | {positive: (POSITIVE, 4)}
    for cell in cells:
        if cell.box is not None:
            left, top, width, height = (scale * length for length in astuple(cell.box))
            style = (DOUBTED, 4) if cell in doubted else styles.get(cell.label or "", (OTHER, 1))
            colour, thickness = style
            ends = (left, top, left + width, top + height)
            draw.rectangle(ends, outline=colour, width=thickness)
    return as_jpeg(image)


class CellFiles(Output):
    """Writes each cell of --fields as a PNG into a folder named as its label, below `folder`.

    Each is named as its field and its box, and no two fields share a name: whatever tells the field
    or the patient of a cell by its file's name finds one of one folder only.
    """

    def __init__(
        self,
        folder: Path,
        places: Places,
        labels: Sequence[str],
        *,
        resume: bool = False,
        option: str = "--cells",
    ) -> None:
        """places: of the fields, whose folders are kept. labels: of the model.

        resume: the folder may hold the cells of an interrupted run. option: that asked for it.
        Raises UsageError, UserError.
        """
        for label in labels:
            if not is_plain_name(label):
                raise UserError(f"{option}: the label {quote(label)} cannot be a folder's name")
        check_outside(folder, places.folders, option)
        if not resume and folder.exists() and next(find_images(folder), None) is not None:
            # A cell that somebody has put under another label would come under both.
            raise UserError(f"{option}: {printable(folder)} holds images: name another folder")
        self.folder, self.places, self.option, self.count = folder, places, option, 0
        self.names = UniqueNames()

    def add(self, prediction: Prediction) -> None:
        """Write one cell. Raises UserError if that cannot be."""
        if prediction.box is None or prediction.path is None or prediction.label is None:
            return
        path, box = prediction.path, prediction.box
        try:
            cell = cut(open_field(path), box)
        except UnreadableImageError as error:
            raise UserError(f"{self.option}: {printable(path)}: {error}") from None
        name = "_".join([self.names.find(path.stem, path), *map(str, astuple(box))]) + ".png"
        into = Path(self.folder, prediction.label, *self.places.folders_of(path))
        make_folder(into, self.folder)
        with whole_file(into / name) as temporary:
            cell.save(temporary, "PNG")
        self.count += 1

    def finish(self) -> None:
        """Say how many there are."""
        log(f"saved {self.count:,} cells below {printable(self.folder)}")
