"""pixel_store: each sample read once into a uint8 array, in memory or on disk, or anew."""

import hashlib
import json
import os
import shutil
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import __version__ as pillow_version

from malaria.base.errors import UserError
from malaria.base.files import is_own_link, refuse_link, write_text
from malaria.base.machine import usable_cores, usable_memory
from malaria.base.text import printable
from malaria.data.dataset import Sample
from malaria.data.reading import Found, read_all
from malaria.pictures.cell_in_field import ImagePath
from malaria.pictures.images import PixelFormat, UnreadableImageError, read_image
from malaria.pictures.remote_path import real_name

Cache = Literal["memory", "disk", "none"]
# Of the folder of a cache: what it holds may change with this program.
FORMAT = 2


@dataclass(frozen=True)
class Pixels:
    """The images of `samples`, which were all readable.

    stored: (rows, height, width, 3), uint8, or None where each image is read anew. rows: of each
    sample in `stored`. failures: what `read` has raised, which TensorFlow does not hand on.
    """

    samples: list[Sample]
    pixel_format: PixelFormat
    stored: np.ndarray | None
    rows: np.ndarray
    failures: list[UserError] = field(default_factory=list)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """(len(indices), height, width, 3), uint8. Raises UserError for one that is gone."""
        if self.stored is not None:
            return self.stored[self.rows[indices]]
        paths = [self.samples[index].path for index in indices]
        with ThreadPoolExecutor(usable_cores()) as threads:
            return np.stack(list(threads.map(self._read_again, paths)))

    def _read_again(self, path: ImagePath) -> np.ndarray:
        try:
            return read_image(path, self.pixel_format)
        except UnreadableImageError as error:
            failure = UserError(
                f"{printable(path)}: {error}, and it was readable when the run began: put it back "
                "and go on with --resume"
            )
            self.failures.append(failure)
            raise failure from None

    def without(self, left_out: Collection[Sample]) -> "Pixels":
        """The same but for these samples."""
        kept = [place for place, one in enumerate(self.samples) if one not in left_out]
        known = [self.samples[place] for place in kept]
        return replace(self, samples=known, rows=self.rows[kept])

    def forget(self) -> None:
        """Give the memory back; nothing can be read any more. A cache on disk stays."""
        if self.stored is not None and self.stored.base is None:
            self.stored.resize(0, refcheck=False)


def load_pixels(
    samples: Sequence[Sample], pixel_format: PixelFormat, *, cache: Cache, folder: Path | str
) -> tuple[Pixels, dict[ImagePath, str]]:
    """Read all samples; return (Pixels of the readable ones, {path: reason} of the others).

    The samples of the Pixels have their content.

    cache: "memory", "disk" (below `folder`, and used again as long as neither the files nor the
    pixel format change) or "none". Raises UserError if there is no room or nothing is readable.
    """
    stored: np.ndarray | None
    if cache == "disk":
        stored, found = _disk_array(samples, pixel_format, Path(folder))
    else:
        stored = _empty_array(len(samples), pixel_format) if cache == "memory" else None
        found = read_all(stored, samples, pixel_format)
    rows = np.array([row for row, one in enumerate(found) if one.content], dtype=np.int64)
    if not len(rows):
        example = printable(samples[0].path)
        raise UserError(f"none of {len(samples)} images is readable, e.g. {example}")
    unreadable = {samples[row].path: one.reason for row, one in enumerate(found) if one.reason}
    known = [replace(samples[row], content=found[row].content) for row in rows]
    return Pixels(known, pixel_format, stored, rows), unreadable


def stored_bytes(count: int, pixel_format: PixelFormat) -> int:
    """The bytes that `count` images take in memory or on disk."""
    height, width = pixel_format.size
    return count * height * width * 3


def _empty_array(count: int, pixel_format: PixelFormat) -> np.ndarray:
    needed, available = stored_bytes(count, pixel_format), usable_memory()
    if needed <= 0.8 * available:
        with suppress(MemoryError):
            return np.empty((count, *pixel_format.size, 3), np.uint8)
    raise UserError(
        f"{count} images of {pixel_format.size} need {needed / 1e9:.1f} GB of the "
        f"{available / 1e9:.1f} GB of memory: set cache: disk, or a smaller image_size"
    )


def _disk_array(
    samples: Sequence[Sample], pixel_format: PixelFormat, folder: Path
) -> tuple[np.ndarray, list[Found]]:
    """The cached array of exactly these files in this format, made if there is none, read-only."""
    target = folder / _digest(samples, pixel_format)
    if not target.is_dir():
        _make_disk_array(target, samples, pixel_format)
    try:
        found = json.loads((target / "found.json").read_text(encoding="utf-8"))
        stored = np.load(target / "pixels.npy", mmap_mode="r", allow_pickle=False)
        return stored, [Found(*one) for one in found]
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"the cache {target} is damaged ({error}): delete it") from None


def _digest(samples: Sequence[Sample], pixel_format: PixelFormat) -> str:
    """Differs as soon as a file is added, removed, moved or changed, or is to be read otherwise."""
    digest = hashlib.sha256(repr((FORMAT, asdict(pixel_format), pillow_version)).encode())
    for sample in samples:
        entry: tuple[object, ...] = (real_name(sample.path),)
        with suppress(OSError):  # it will be among the unreadable ones
            status = os.stat(sample.path)
            entry += (status.st_size, status.st_mtime_ns)
        digest.update(repr(entry).encode())
    return digest.hexdigest()[:16]


def _make_disk_array(target: Path, samples: Sequence[Sample], pixel_format: PixelFormat) -> None:
    """Fill a folder beside `target` and rename it, so that a half-made one is never used."""
    partial_folder = target.with_name(f".{target.name}.{os.getpid()}.partial")
    if not is_own_link(target.parent):
        refuse_link(target.parent)
    try:
        # A killed run may have left one, and numbers of processes come again.
        shutil.rmtree(partial_folder, ignore_errors=True)
        partial_folder.mkdir(parents=True)
        stored = _reserve(partial_folder / "pixels.npy", len(samples), pixel_format)
        found = read_all(stored, samples, pixel_format)
        stored.flush()
        write_text(partial_folder / "found.json", json.dumps(found))
        # Another run of the same images may have made it meanwhile; the two are alike.
        if not target.is_dir():
            partial_folder.rename(target)
    except OSError as error:
        needed = stored_bytes(len(samples), pixel_format) / 1e6
        raise UserError(
            f"cannot write the {needed:.0f} MB cache {target}: {error.strerror or error}; "
            "make room, or set cache: memory or none"
        ) from None
    finally:
        shutil.rmtree(partial_folder, ignore_errors=True)


def _reserve(path: Path, count: int, pixel_format: PixelFormat) -> np.memmap:
    """A .npy file mapped for writing, its disk space taken at once.

    A full disk then is an OSError here; met while writing into the map it would kill the process.
    """
    shape = (count, *pixel_format.size, 3)
    stored = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with open(path, "rb+") as file:
            os.posix_fallocate(file.fileno(), 0, os.path.getsize(path))
    return stored
