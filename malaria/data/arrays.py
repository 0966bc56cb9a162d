"""arrays: an .npz of labelled images, as MedMNIST has them, -> folders of images.

An image at a time, and never pickled objects, so that a stranger's file fills no memory.
"""

import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from malaria.base.errors import UserError
from malaria.base.text import is_plain_name, printable, quote, shorten
from malaria.pictures.limits import check_sides, open_regular

SPLITS = ("train", "val", "test")
# Of all images, unpacked, and of the labels of one split.
MOST_BYTES, MOST_LABEL_BYTES = 8 * 2**30, 2**27
EXPECTED = (
    "train_images (n, height, width) or (n, height, width, 3), uint8, and train_labels (n, 1)"
)


@dataclass(frozen=True)
class Header:
    """What the array that follows in a file is."""

    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def bytes(self) -> int:
        return int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize


def write_images(archive: Path, folder: Path, labels: Sequence[str] | None = None) -> int:
    """Write each image as `folder/<split>/<label>/<split>_<number>.png`; returns how many.

    labels: the names of the labels 0, 1, ...; None: their numbers. `folder` appears only when it is
    complete. Raises UserError for another kind of file and where `folder` is there.
    """
    if folder.exists():
        raise UserError(f"{printable(folder)} is there already: expected a new folder")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (
            open_regular(archive, limit=None) as file,
            tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as place,
            zipfile.ZipFile(file) as content,
        ):
            made = Path(place, "made")
            count = sum(_write_split(content, name, made, labels) for name in SPLITS)
            if not count:
                raise ValueError(f"no images; its arrays are {', '.join(content.namelist())}")
            made.rename(folder)
            return count
    except OSError as error:
        raise UserError(f"{printable(archive)}: {error.strerror or error}") from None
    except UserError as error:
        raise UserError(f"{printable(archive)}: {error}") from None
    except Exception as error:  # zipfile and zlib fail on damaged files in many ways
        reason = printable(shorten(error, 300))
        raise UserError(f"{printable(archive)}: expected {EXPECTED}; {reason}") from None


def _write_split(
    content: zipfile.ZipFile, split: str, place: Path, names: Sequence[str] | None
) -> int:
    if f"{split}_images.npy" not in content.namelist():
        return 0
    with content.open(f"{split}_labels.npy") as file:
        labels = _read_labels(file)
    with content.open(f"{split}_images.npy") as file:
        header = _read_header(file)
        _check(header, len(labels))
        for number, pixels in enumerate(_read_each(file, header)):
            folder = place / split / _name_of(int(labels[number]), names)
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / f"{split}_{number:06}.png")
    return len(labels)


def _name_of(label: int, names: Sequence[str] | None) -> str:
    if names is None:
        return str(label)
    if label >= len(names):
        raise UserError(f"--labels: expected a name for label {label}; received {len(names)} names")
    if not is_plain_name(names[label]):
        raise UserError(f"--labels: expected names of folders; received {quote(names[label])}")
    return names[label]


def _read_labels(file: IO[bytes]) -> np.ndarray:
    """(n,), integers."""
    header = _read_header(file)
    if header.dtype.kind not in "iu" or header.bytes > MOST_LABEL_BYTES:
        raise ValueError(f"received labels {header.shape}, {header.dtype}")
    if header.shape[1:] not in ((), (1,)):
        raise ValueError(f"received labels {header.shape}: several for each image")
    labels = np.frombuffer(_read(file, header.bytes), header.dtype)
    if len(labels) and not 0 <= labels.min() <= labels.max() < 1000:
        raise ValueError(f"received the labels {labels.min()} to {labels.max()}")
    return labels


def _check(header: Header, count: int) -> None:
    """Raise ValueError or UserError unless it is of `count` images."""
    shape = header.shape
    if header.dtype != np.uint8 or (len(shape) != 3 and (len(shape) != 4 or shape[3] != 3)):
        raise ValueError(f"received images {shape}, {header.dtype}")
    if shape[0] != count:
        raise ValueError(f"received {shape[0]} images and {count} labels")
    if header.bytes > MOST_BYTES:
        raise ValueError(f"{header.bytes:,} bytes of images, more than the {MOST_BYTES:,} allowed")
    check_sides(shape[2], shape[1])


def _read_header(file: IO[bytes]) -> Header:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
    else:
        shape, is_fortran, dtype = np.lib.format.read_array_header_2_0(file)
    if is_fortran or dtype.hasobject or min(shape, default=0) < 1:
        raise ValueError(f"received {quote(str(dtype))} {shape}")
    return Header(shape, dtype)


def _read_each(file: IO[bytes], header: Header) -> Iterator[np.ndarray]:
    shape = header.shape[1:]
    for _ in range(header.shape[0]):
        yield np.frombuffer(_read(file, int(np.prod(shape))), np.uint8).reshape(shape)


def _read(file: IO[bytes], size: int) -> bytes:
    content = file.read(size)
    if len(content) != size:
        raise ValueError("it ends too early")
    return content
