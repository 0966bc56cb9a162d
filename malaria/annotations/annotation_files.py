"""annotation_files: one JSON of boxes: COCO, GeoJSON, or a list of images with objects."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from malaria.annotations.annotation_records import MOST_IN_ALL, Content, Record, Rectangle
from malaria.base.errors import UserError
from malaria.base.files import open_regular
from malaria.base.text import printable, quote
from malaria.data.listing import find_place

# Of JSON, which takes up to 20 times as much memory: bytes, and lists and objects.
MAX_BYTES, MAX_NODES = 100_000_000, 6_000_000
EXPECTED = (
    "COCO (images, annotations, categories), GeoJSON as of QuPath, or a list of "
    '{"image": ..., "objects": [{"label", "x", "y", "w", "h"}]}'
)
# Raised by plain values that are not built as expected.
NOT_SOUND = (TypeError, LookupError, ValueError, AttributeError, OverflowError)


def read_json(path: Path) -> list[Record]:
    """The records of a .json or .geojson, by what is in it. Raises UserError."""
    content = _load(path)
    if isinstance(content, dict) and {"images", "annotations"} <= set(content):
        return _read(path, "COCO", _from_coco, content)
    features = content.get("features") if isinstance(content, dict) else content
    if isinstance(content, dict) and content.get("type") == "Feature":
        features = [content]
    if isinstance(features, list) and (_is_feature(features[:1]) or features is not content):
        return _read(path, "GeoJSON", _from_geojson, features)
    if isinstance(content, list) and content:
        return _read(path, "a list of annotated images", _from_list, content)
    raise UserError(f"{printable(path)}: expected {EXPECTED}")


def _is_feature(first: list[Any]) -> bool:
    return bool(first) and isinstance(first[0], dict) and first[0].get("type") == "Feature"


def _load(path: Path) -> Any:
    try:
        with open_regular(path, MAX_BYTES) as file:
            content = file.read()
        if content.count(b"[") + content.count(b"{") > MAX_NODES:
            raise UserError(f"more than {MAX_NODES:,} lists and objects")
        return json.loads(content.decode("utf-8-sig"))
    except OSError as error:
        raise UserError(f"cannot read {printable(path)}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise UserError(f"{printable(path)} is not JSON: expected {EXPECTED}") from None
    except UserError as error:
        raise UserError(f"cannot read {printable(path)}: {error}") from None


def _read(
    path: Path, what: str, parse: Callable[[Path, Any], Iterable[Record]], content: Any
) -> list[Record]:
    try:
        return list(parse(path, content))
    except NOT_SOUND as error:
        reason = f"{type(error).__name__}: {error}" if isinstance(error, KeyError) else error
        raise UserError(
            f"{printable(path)} is damaged: expected {what}; received {quote(reason)}"
        ) from None


def number(value: Any) -> float:
    """A number of a file as a float, infinite where it is too large. Raises TypeError."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{quote(value)} in place of a number")
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def _four(values: Iterable[Any]) -> tuple[float, float, float, float]:
    left, top, width, height = map(number, values)
    return left, top, width, height


def text(value: Any, what: str) -> str:
    """A text of a file. Raises TypeError."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise TypeError(f"{quote(value)} in place of {what}")
    return value


def record_of(path: Path, name: str, content: Content) -> Record:
    """The record of an image that a file names."""
    return Record(name, find_place(name, path, is_beside=True), content)


def _size_of(image: dict[str, Any]) -> tuple[int, int] | None:
    width, height = image.get("width"), image.get("height")
    return (int(number(width)), int(number(height))) if width and height else None


def _from_coco(path: Path, content: dict[str, Any]) -> Iterator[Record]:
    names = {one["id"]: text(one["name"], "a name") for one in content.get("categories", ())}
    boxes: dict[Any, list[Rectangle]] = {one["id"]: [] for one in content["images"]}
    if len(boxes) < len(content["images"]):
        raise ValueError("two images of one id")
    for one in content["annotations"]:
        box = Rectangle(*_four(one["bbox"]), names[one["category_id"]])
        boxes[one["image_id"]].append(box)
    for image in content["images"]:
        known = Content(boxes[image["id"]], _size_of(image))
        yield record_of(path, text(image["file_name"], "file_name"), known)


def _from_list(path: Path, content: list[Any]) -> Iterator[Record]:
    for image in content:
        boxes = [
            Rectangle(*_four(one[key] for key in "xywh"), _label(one.get("label")))
            for one in image["objects"]
        ]
        known = Content(boxes, _size_of(image), is_complete=image.get("complete") is not False)
        yield record_of(path, text(image["image"], "an image"), known)


def _label(value: Any) -> str | None:
    return None if value is None else text(value, "a label")


def _from_geojson(path: Path, features: list[Any]) -> Iterator[Record]:
    """QuPath writes a file an image, called as it; ours name the image in properties.image."""
    boxes: dict[str | None, list[Rectangle]] = {}
    for feature in features:
        known = feature.get("properties") or {}
        name = text(known["image"], "an image") if "image" in known else None
        boxes.setdefault(name, []).append(_outline(feature.get("geometry"), known))
    for image, each in (boxes or {None: []}).items():
        if image is None:
            yield Record(path.stem, path.with_suffix(""), Content(each), by_stem=True)
        else:
            yield record_of(path, image, Content(each))


def _outline(geometry: Any, known: dict[str, Any]) -> Rectangle:
    """The box around a polygon; of what has no area, as a point, one of no size."""
    kind = known.get("classification") or {}
    points = list(_points(geometry["coordinates"] if geometry else []))
    if not points or len(points) > MOST_IN_ALL:
        return Rectangle(0, 0, 0, 0, _label(kind.get("name")))
    across, down = zip(*points, strict=True)
    left, top = min(across), min(down)
    return Rectangle(left, top, max(across) - left, max(down) - top, _label(kind.get("name")))


def _points(node: Any) -> Iterator[tuple[float, float]]:
    """The points of coordinates within lists, however many there are around them."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if one and not isinstance(one[0], list):
            yield number(one[0]), number(one[1])
        else:
            waiting += one
