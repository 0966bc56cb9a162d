"""pixel_store: each sample read once into a uint8 array, in memory or on disk, or anew."""

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import __version__ as pillow_version
from tqdm import tqdm

from malaria.base.errors import UserError
from malaria.base.files import refuse_link, write_text
from malaria.base.machine import usable_cores, usable_memory
from malaria.base.text import printable
from malaria.data.dataset import Sample
from malaria.pictures.images import PixelFormat, UnreadableImageError, open_image, read_image

Cache = Literal["memory", "disk", "none"]
# This many images are given to the threads at a time: Ctrl-C waits for no more than these.
CHUNK = 256


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

    def _read_again(self, path: Path) -> np.ndarray:
        try:
            return read_image(path, self.pixel_format)
        except UnreadableImageError as error:
            failure = UserError(
                f"{printable(path)}: {error}, and it was readable when the run began: put it back "
                "and go on with --resume"
            )
            self.failures.append(failure)
            raise failure from None

    def forget(self) -> None:
        """Give the memory back; nothing can be read any more. A cache on disk stays."""
        if self.stored is not None and self.stored.base is None:
            self.stored.resize(0, refcheck=False)


def load_pixels(
    samples: Sequence[Sample], pixel_format: PixelFormat, *, cache: Cache, folder: Path | str
) -> tuple[Pixels, dict[Path, str]]:
    """Read all samples; return (Pixels of the readable ones, {path: reason} of the others).

    cache: "memory", "disk" (below `folder`, and used again as long as neither the files nor the
    pixel format change) or "none". Raises UserError if there is no room or nothing is readable.
    """
    stored: np.ndarray | None
    if cache == "disk":
        stored, faults = _disk_array(samples, pixel_format, Path(folder))
    else:
        stored = _empty_array(len(samples), pixel_format) if cache == "memory" else None
        faults = _fill(stored, samples, pixel_format)
    rows = np.array([row for row in range(len(samples)) if row not in faults], dtype=np.int64)
    if not len(rows):
        example = printable(samples[0].path)
        raise UserError(f"none of {len(samples)} images is readable, e.g. {example}")
    unreadable = {samples[row].path: reason for row, reason in faults.items()}
    return Pixels([samples[row] for row in rows], pixel_format, stored, rows), unreadable


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


def _fill(
    stored: np.ndarray | None, samples: Sequence[Sample], pixel_format: PixelFormat
) -> dict[int, str]:
    """Read every sample into its row; return {row: reason} of the unreadable ones."""
    faults: dict[int, str] = {}

    def read(row: int) -> None:
        try:
            if stored is None:
                open_image(samples[row].path)
            else:
                stored[row] = read_image(samples[row].path, pixel_format)
        except UnreadableImageError as error:
            faults[row] = str(error)

    with (
        ThreadPoolExecutor(usable_cores()) as threads,
        # None: a bar on a terminal only.
        tqdm(total=len(samples), desc="reading images", unit="", disable=None) as bar,
    ):
        for start in range(0, len(samples), CHUNK):
            rows = range(start, min(start + CHUNK, len(samples)))
            bar.update(len(list(threads.map(read, rows))))
    return dict(sorted(faults.items()))


def _disk_array(
    samples: Sequence[Sample], pixel_format: PixelFormat, folder: Path
) -> tuple[np.ndarray, dict[int, str]]:
    """The cached array of exactly these files in this format, made if there is none, read-only."""
    target = folder / _digest(samples, pixel_format)
    if not target.is_dir():
        _make_disk_array(target, samples, pixel_format)
    try:
        faults = json.loads((target / "unreadable.json").read_text(encoding="utf-8"))
        stored = np.load(target / "pixels.npy", mmap_mode="r", allow_pickle=False)
        return stored, {int(row): reason for row, reason in faults.items()}
    except (OSError, ValueError) as error:
        raise UserError(f"the cache {target} is damaged ({error}): delete it") from None


def _digest(samples: Sequence[Sample], pixel_format: PixelFormat) -> str:
    """Differs as soon as a file is added, removed, moved or changed, or is to be read otherwise."""
    digest = hashlib.sha256(repr((asdict(pixel_format), pillow_version)).encode())
    for sample in samples:
        entry: tuple[object, ...] = (os.path.realpath(sample.path),)
        with suppress(OSError):  # it will be among the unreadable ones
            status = os.stat(sample.path)
            entry += (status.st_size, status.st_mtime_ns)
        digest.update(repr(entry).encode())
    return digest.hexdigest()[:16]


def _make_disk_array(target: Path, samples: Sequence[Sample], pixel_format: PixelFormat) -> None:
    """Fill a folder beside `target` and rename it, so that a half-made one is never used."""
    partial_folder = target.with_name(f".{target.name}.{os.getpid()}.partial")
    refuse_link(target.parent)
    try:
        # A killed run may have left one, and numbers of processes come again.
        shutil.rmtree(partial_folder, ignore_errors=True)
        partial_folder.mkdir(parents=True)
        stored = _reserve(partial_folder / "pixels.npy", len(samples), pixel_format)
        faults = _fill(stored, samples, pixel_format)
        stored.flush()
        write_text(partial_folder / "unreadable.json", json.dumps(faults))
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
