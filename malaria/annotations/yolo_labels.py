"""yolo_labels: a .txt for each image, a line a box: class, x, y, width, height, as shares of it."""

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from malaria.annotations.annotation_records import Content, Record, Rectangle
from malaria.base.errors import UserError
from malaria.base.files import open_regular
from malaria.base.text import printable, quote

MAX_BYTES = 20_000_000
NAMES = ("classes.txt", "data.yaml", "data.yml", "dataset.yaml", "obj.names")
LINE = re.compile(r"\s*\d+(\s+[\d.e-]+){4,}\s*$", re.MULTILINE)


def begins_like_labels(path: Path) -> bool:
    """Whether the first line of a .txt is one of YOLO's."""
    try:
        with open_regular(path) as file:
            return LINE.match(file.readline(1000).decode("ascii", "replace")) is not None
    except (OSError, UserError):
        return False


def read_yolo(folder: Path, files: Sequence[Path]) -> list[Record]:
    """The records of .txt files below a folder, as labels/*.txt. Raises UserError.

    Names of the classes stand in classes.txt or data.yaml, there or one folder up.
    """
    names = _class_names(folder)
    files = [path for path in files if path.name not in NAMES]
    return [
        Record(path.stem, _image_of(path), partial(_read_labels, path, names), by_stem=True)
        for path in files
    ]


def _image_of(path: Path) -> Path:
    """Where the image of a file of labels lies, without its ending: as of YOLO, in images/."""
    parts = list(path.with_suffix("").parts)
    for place in reversed(range(len(parts) - 1)):
        if parts[place] == "labels":
            there = Path(*parts[:place], "images", *parts[place + 1 :])
            return there if there.parent.is_dir() else path.with_suffix("")
    return path.with_suffix("")


def _class_names(folder: Path) -> dict[int, str]:
    for place in (folder, folder.parent, folder / "labels"):
        for name in NAMES:
            if (path := place / name).is_file():
                text = _read_text(path)
                return (
                    _from_yaml(path, text)
                    if path.suffix in (".yaml", ".yml")
                    else dict(enumerate(line.strip() for line in text.splitlines()))
                )
    raise UserError(
        f"{printable(folder)}: expected the names of the classes in classes.txt or data.yaml, "
        "beside the labels of YOLO or one folder up"
    )


def _from_yaml(path: Path, text: str) -> dict[int, str]:
    import yaml

    try:
        names = yaml.safe_load(text)["names"]
        numbered = names if isinstance(names, dict) else dict(enumerate(names))
        return {int(number): str(name) for number, name in numbered.items()}
    except (yaml.YAMLError, ValueError, LookupError, TypeError, RecursionError):
        raise UserError(
            f"{printable(path)}: expected the names of classes, names: [A, B]"
        ) from None


def _read_labels(path: Path, names: dict[int, str]) -> Content:
    rectangles = []
    for count, line in enumerate(_read_text(path).splitlines(), start=1):
        try:
            if line.strip():
                rectangles.append(_from_line(line.split(), names))
        except (ValueError, LookupError):
            raise UserError(
                f"{printable(path)}: expected a known class, x, y, width and height in line "
                f"{count:,}; received {quote(line)}"
            ) from None
    return Content(rectangles, are_shares=True)


def _from_line(words: Sequence[str], names: dict[int, str]) -> Rectangle:
    """Of five numbers and perhaps a probability, or the points of an outline."""
    numbers = list(map(float, words[1:]))
    label = names[int(words[0])]
    if len(numbers) in (4, 5):
        x, y, width, height = numbers[:4]
        return Rectangle(x - width / 2, y - height / 2, width, height, label)
    if len(numbers) < 6 or len(numbers) % 2:
        raise ValueError
    left, top = min(numbers[::2]), min(numbers[1::2])
    return Rectangle(left, top, max(numbers[::2]) - left, max(numbers[1::2]) - top, label)


def _read_text(path: Path) -> str:
    try:
        with open_regular(path, MAX_BYTES) as file:
            return file.read().decode("utf-8-sig", "replace")
    except (OSError, UserError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"cannot read {printable(path)}: {reason}") from None
