"""qupath_files: a .geojson for each field, beside that of all: QuPath opens one for an image."""

from collections.abc import Sequence
from pathlib import Path

from malaria.base.files import make_folder, whole_file
from malaria.base.streams import log
from malaria.base.text import printable
from malaria.inference.prediction import Prediction
from malaria.outputs.field_by_field import FieldByField
from malaria.outputs.formats import to_geojson
from malaria.outputs.journal import to_row
from malaria.pictures.places import UniqueNames


class QuPathFiles(FieldByField):
    """Where several fields have cells, writes each as `<output>_fields/<field>.geojson`."""

    def __init__(self, output: Path, labels: Sequence[str]) -> None:
        """output: of --output, a .geojson. labels: of the model."""
        super().__init__()
        self.folder, self.labels = output.with_name(f"{output.stem}_fields"), labels
        self.names, self.count = UniqueNames(), 0

    def finish(self) -> None:
        """Write the last field, and say how many there are. Raises UserError."""
        if self.count == 0:  # one field is what the file of all holds
            return
        super().finish()
        log(f"saved {self.count:,} files below {printable(self.folder)}, one for each field")

    def add_field(self, cells: Sequence[Prediction]) -> None:
        """Write one field. Raises UserError."""
        if (path := cells[0].path) is None or cells[0].box is None:
            return
        make_folder(self.folder, self.folder)
        name = f"{self.names.find(path.stem, path)}.geojson"
        rows = [to_row(one, self.labels, fields=True) for one in cells]
        with whole_file(self.folder / name) as temporary, open(temporary, "w") as file:
            to_geojson(rows, file, self.labels)
        self.count += 1
