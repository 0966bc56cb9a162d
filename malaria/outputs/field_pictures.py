"""field_pictures: a field for the page, and its cells as files of their own."""

from collections.abc import Iterable, Sequence
from dataclasses import astuple
from pathlib import Path

from PIL import Image

from malaria.base.errors import UserError
from malaria.base.files import make_folder, whole_file
from malaria.base.streams import log
from malaria.base.text import is_plain_name, printable, quote
from malaria.fields.found import cut
from malaria.inference.prediction import Prediction
from malaria.outputs.field_by_field import FieldByField
from malaria.outputs.html_parts import as_jpeg
from malaria.pictures.box import Box
from malaria.pictures.folders import check_outside, find_images
from malaria.pictures.images import UnreadableImageError, opened
from malaria.pictures.places import Places, UniqueNames
from malaria.pictures.remote_path import AnyPath

# The longer side of a field on the page, pixels.
SIDE = 1000


def shrink_field(field: Image.Image) -> bytes:
    """The field as a JPEG of at most SIDE."""
    scale = min(1.0, SIDE / max(field.size))
    size = [max(1, round(side * scale)) for side in field.size]
    return as_jpeg(field.resize(size, reducing_gap=2.0))


class CellFiles(FieldByField):
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
        super().__init__()
        for label in labels:
            if not is_plain_name(label):
                raise UserError(f"{option}: the label {quote(label)} cannot be a folder's name")
        check_outside(folder, places.folders, option)
        if not resume and folder.exists() and next(find_images(folder), None) is not None:
            # A cell that somebody has put under another label would come under both.
            raise UserError(f"{option}: {printable(folder)} holds images: name another folder")
        self.folder, self.places, self.option, self.count = folder, places, option, 0
        self.names = UniqueNames()

    def add_field(self, cells: Sequence[Prediction]) -> None:
        """Write the cells of one field. Raises UserError if that cannot be."""
        if (path := cells[0].path) is None or cells[0].box is None:
            return
        try:
            with opened(path) as field:
                self.write(path, field, cells)
        except UnreadableImageError as error:
            raise UserError(f"{self.option}: {printable(path)}: {error}") from None

    def write(self, path: AnyPath, field: Image.Image, cells: Iterable[Prediction]) -> None:
        """Write those of the cells, of the field of that path, that have a label and a box."""
        for cell in cells:
            if cell.box is not None and cell.label is not None:
                self._write_cell(path, field, cell.box, cell.label)

    def _write_cell(self, path: AnyPath, field: Image.Image, box: Box, label: str) -> None:
        name = "_".join([self.names.find(path.stem, path), *map(str, astuple(box))]) + ".png"
        into = Path(self.folder, label, *self.places.folders_of(path))
        make_folder(into, self.folder)
        with whole_file(into / name) as temporary:
            cut(field, box).convert("RGB").save(temporary, "PNG")
        self.count += 1

    def finish(self) -> None:
        """Write the last field, and say how many cells there are."""
        super().finish()
        log(f"saved {self.count:,} cells below {printable(self.folder)}")
