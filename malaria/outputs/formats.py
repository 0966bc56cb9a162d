"""formats: FORMATS, the one table of the files that --output can be, by their ending."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO

from malaria.base.errors import UserError
from malaria.base.files import BYTE_ORDER_MARK, csv_line
from malaria.base.text import printable
from malaria.inference.prediction import REVIEW, UNLIKE
from malaria.pictures.images import UnreadableImageError, open_image
from malaria.pictures.remote_path import to_path

# {"path", "label", "probability", "probabilities": {label: number} or None, "unlike", "note",
# "error"}, and where images are fields "box": [left, top, width, height], or None where one has no
# cells.
Row = dict[str, Any]
BOX = ("left", "top", "width", "height")
# Of the labels of the model in their order, then of what is in doubt or unlike a cell; RGB.
COLOURS = ((200, 40, 0), (30, 80, 200), (0, 140, 90), (150, 60, 170), (200, 150, 0))
DOUBT = (90, 90, 90)
# Writes all rows into an open file; labels: of the model, in its order.
Format = Callable[[Iterable[Row], TextIO, Sequence[str]], None]


def to_csv(rows: Iterable[Row], file: TextIO, labels: Sequence[str]) -> None:
    """One line an image; no name becomes a formula, and a byte order mark at the beginning."""
    rows = iter(rows)
    first = list(islice(rows, 1))
    places = BOX if first and "box" in first[0] else ()
    of_each = (f"probability of {name}" for name in labels)
    header = ["path", *places, "label", "probability", *of_each, "unlike", "note", "error"]
    file.write(BYTE_ORDER_MARK + csv_line(header))
    for row in chain(first, rows):
        each = row["probabilities"] or dict.fromkeys(labels)
        box = row.get("box") or [None] * len(places)
        known = (row["path"], *box, row["label"], row["probability"], *each.values())
        file.write(csv_line([*known, row["unlike"], row["note"], row["error"]]))


def to_json(rows: Iterable[Row], file: TextIO, labels: Sequence[str]) -> None:
    """One array, an object an image."""
    _write_array(rows, file)
    file.write("\n")


def _write_array(items: Iterable[Any], file: TextIO) -> None:
    file.write("[")
    for number, item in enumerate(items):
        file.write((",\n" if number else "\n") + json.dumps(item))
    file.write("\n]")


def to_json_lines(rows: Iterable[Row], file: TextIO, labels: Sequence[str]) -> None:
    """One object a line, a line an image."""
    for row in rows:
        file.write(json.dumps(row) + "\n")


def to_geojson(rows: Iterable[Row], file: TextIO, labels: Sequence[str]) -> None:
    """A FeatureCollection of rectangles, as QuPath reads it; each names its image.

    errors: the images that have no cells, and why; readers of GeoJSON pass it over.
    """
    colours, errors = _colours(labels), list[dict[str, Any]]()
    file.write('{"type": "FeatureCollection", "features": ')
    _write_array((_feature(row, colours) for row in _boxed(rows, errors)), file)
    file.write(f', "errors": {json.dumps(errors)}}}\n')


def _boxed(rows: Iterable[Row], errors: list[dict[str, Any]]) -> Iterator[Row]:
    """The rows of cells; those of images without cells are added to the errors."""
    for row in rows:
        if row["box"] is not None:
            yield row
        else:
            errors.append({"image": row["path"], "error": row["error"]})


def _feature(row: Row, colours: dict[str, tuple[int, int, int]]) -> dict[str, Any]:
    left, top, width, height = row["box"]
    right, bottom = left + width, top + height
    corners = [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]
    label = row["label"]
    known = {
        "objectType": "annotation",
        "classification": {"name": label, "color": list(colours[label])},
        "measurements": {"probability": row["probability"]},
        "image": row["path"],
    }
    geometry = {"type": "Polygon", "coordinates": [corners]}
    return {"type": "Feature", "geometry": geometry, "properties": known}


def _colours(labels: Sequence[str]) -> dict[str, tuple[int, int, int]]:
    """Those of all labels that a cell may have, the model's first."""
    known = {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(labels)}
    return known | {name: DOUBT for name in (REVIEW, UNLIKE) if name not in known}


def to_coco(rows: Iterable[Row], file: TextIO, labels: Sequence[str]) -> None:
    """COCO's JSON of boxes, as CVAT and Label Studio read it, with a score for each.

    images: those with cells; errors: the others. Raises UserError for a field that is there no
    more: its width and height belong to the format.
    """
    numbers = {name: place for place, name in enumerate(_colours(labels), start=1)}
    images, errors = dict[str, int](), list[dict[str, Any]]()
    file.write('{"annotations": ')
    _write_array(_coco_boxes(_boxed(rows, errors), images, numbers), file)
    file.write(', "images": ')
    _write_array((_image_entry(path, number) for path, number in images.items()), file)
    categories = [{"id": number, "name": name} for name, number in numbers.items()]
    more = {"categories": categories, "errors": errors}
    file.write(f", {json.dumps(more)[1:]}\n")


def _coco_boxes(
    rows: Iterable[Row], images: dict[str, int], numbers: dict[str, int]
) -> Iterator[dict[str, Any]]:
    """The annotations; images: {path: its id}, to which those of the rows are added."""
    for count, row in enumerate(rows, start=1):
        _, _, width, height = row["box"]
        yield {
            "id": count,
            "image_id": images.setdefault(row["path"], len(images) + 1),
            "category_id": numbers[row["label"]],
            "bbox": row["box"],
            "area": width * height,
            "iscrowd": 0,
            "segmentation": [],
            "score": row["probability"],
        }


def _image_entry(path: str, number: int) -> dict[str, Any]:
    try:
        width, height = open_image(to_path(path)).size
    except UnreadableImageError as error:
        raise UserError(f"cannot read {printable(path)} again, for its size: {error}") from None
    return {"id": number, "file_name": path, "width": width, "height": height}


FORMATS: dict[str, Format] = {
    ".csv": to_csv,
    ".json": to_json,
    ".jsonl": to_json_lines,
    ".geojson": to_geojson,
    ".coco.json": to_coco,
}


def ending_of(path: Path) -> str:
    """The longest of the endings of FORMATS that a name has, in any case; "" for none."""
    return max((one for one in FORMATS if path.name.lower().endswith(one)), key=len, default="")


def holds_boxes(path: Path) -> bool:
    """Whether the format is one of boxes, which only the cells of fields have."""
    return FORMATS[ending_of(path)] in (to_geojson, to_coco)


def table_beside(output: Path) -> Path:
    """The name of the table of fields beside --output; beside a format of boxes it is a .json."""
    ending = ending_of(output)
    stem = output.name[: len(output.name) - len(ending)]
    return output.with_name(f"{stem}_fields{'.json' if holds_boxes(output) else output.suffix}")
