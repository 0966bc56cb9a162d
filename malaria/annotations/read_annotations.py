"""read_annotations: boxes of cells from any format that is known, told by content and ending."""

from collections.abc import Mapping
from itertools import chain
from pathlib import Path

from malaria.annotations.annotation_files import read_json
from malaria.annotations.annotation_records import Record
from malaria.annotations.annotation_tables import read_table
from malaria.annotations.annotations import Annotations
from malaria.annotations.cell_kinds import Kind
from malaria.annotations.label_masks import MASKS, find_masks, mask_of
from malaria.annotations.yolo_labels import NAMES, begins_like_labels, read_yolo
from malaria.base.errors import UserError
from malaria.base.text import printable
from malaria.data.tables import TABLES
from malaria.pictures.limits import is_hidden

EXPECTED = (
    "a .json (COCO, GeoJSON or a list of images), .geojson, .csv or .tsv (path, left, top, width, "
    "height, perhaps label), a label mask (.png, .tif, .npy), or a folder of masks, of GeoJSON or "
    "of YOLO's labels"
)


def read_annotations(path: Path, own: Mapping[str, Kind] | None = None) -> Annotations:
    """The annotations of a file or a folder. own: as of Annotations. Raises UserError."""
    records = _from_folder(path) if path.is_dir() else _from_file(path)
    if not records:
        raise UserError(f"no annotated images in {printable(path)}: expected {EXPECTED}")
    return Annotations(path, records, own=own)


def _from_folder(folder: Path) -> list[Record]:
    if files := _files_below(folder, ".geojson"):
        return list(chain.from_iterable(map(read_json, files)))
    texts = _files_below(folder, ".txt")
    if any((folder / name).is_file() for name in NAMES) or any(map(begins_like_labels, texts)):
        return read_yolo(folder, texts)
    return find_masks(folder, _files_below(folder, *MASKS))


def _files_below(folder: Path, *endings: str) -> list[Path]:
    """The files below a folder that have one of the endings, sorted, but for hidden ones."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in endings)
    return sorted(path for path in found if not is_hidden(path.name) and path.is_file())


def _from_file(path: Path) -> list[Record]:
    if not path.exists():
        raise UserError(f"--boxes: no file or folder {printable(path)}")
    ending = path.suffix.lower()
    if ending in (".json", ".geojson"):
        return read_json(path)
    if ending in TABLES:
        return read_table(path)
    if ending in MASKS:
        return [mask_of(path)]
    if path.name in NAMES:
        return _from_folder(path.parent)
    raise UserError(f"{printable(path)}: expected {EXPECTED}")
