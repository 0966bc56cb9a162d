"""tiff: one image from a TIFF, as microscopes write them: planes, 16 bits, OME, ImageJ."""

import logging
import re
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from malaria.base.streams import log
from malaria.base.text import printable
from malaria.pictures.depth import bits_for, bits_in_folder, to_8_bits, turn
from malaria.pictures.limits import UnreadableImageError, check_sides
from malaria.pictures.remote_path import AnyPath

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# The axes of an image without those of length 1: rows, columns, and samples or channels.
GREY, LAST, FIRST = ("YX",), ("YXS", "YXC"), ("SYX", "CYX")
# Three pages of one array whose writer did not say what they are; newer tifffile writes planes so.
UNNAMED = "QYX"
# Photometric interpretations that are grey levels as they are; other kinds are left to Pillow.
MIN_IS_WHITE, MIN_IS_BLACK, RGB = 0, 1, 2

_log_once = cache(log)


def open_tiff(path: AnyPath, file: BinaryIO) -> Image.Image | None:
    """The image, mode L, RGB or RGBA, or None where Pillow reads it as well.

    file: what is at `path`. Pillow takes the first plane for the image, and of 16 bits in colour
    the upper 8. Raises UnreadableImageError for a stack and for pixels of no known range.
    """
    with _open(path, file) as tiff:
        page, series = tiff.pages[0], tiff.series[0]
        axes, shape = _axes_of(series)
        if "Q" in series.axes and axes == "CYX":
            folder = printable(path.parent)
            _log_once(f"{folder}: its TIFFs of three pages are read as red, green and blue planes")
        _check(tiff, page, axes, shape)
        is_plain = page.photometric in (MIN_IS_WHITE, MIN_IS_BLACK, RGB)
        if not is_plain or (series.dtype == np.uint8 and axes not in FIRST):
            return None
        pixels = _read(series).reshape(shape)
        if axes in FIRST:
            pixels = np.moveaxis(pixels, 0, -1)
        pixels = _to_bytes(pixels, path, tiff, page)
    if page.photometric == MIN_IS_WHITE:
        pixels = 255 - pixels
    return turn(Image.fromarray(np.ascontiguousarray(pixels)), page.tags.valueof("Orientation"))


def _open(path: AnyPath, file: BinaryIO) -> Any:
    import tifffile  # a tenth of a second that other images need not pay

    # It tells of each odd tag on stderr; what matters is raised.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)
    # One here may be in several files. One of another machine, in memory, leads to no file here.
    file.seek(0)
    return tifffile.TiffFile(path if isinstance(path, Path) else file)


def _axes_of(series: Any) -> tuple[str, tuple[int, ...]]:
    """(axes, shape) without what has length 1, but for rows and columns."""
    every = zip(series.axes, series.shape, strict=True)
    kept = [(axis, size) for axis, size in every if size > 1 or axis in "YX"]
    axes, shape = "".join(axis for axis, _ in kept), tuple(size for _, size in kept)
    return ("CYX" if axes == UNNAMED and shape[0] == 3 else axes), shape


def _check(file: Any, page: Any, axes: str, shape: tuple[int, ...]) -> None:
    sizes = dict(zip(axes, shape, strict=True))
    check_sides(sizes.get("X", 1), sizes.get("Y", 1))
    check_sides(getattr(page, "tilewidth", 0) or 1, getattr(page, "tilelength", 0) or 1)
    samples = sizes.get("S", sizes.get("C", 1))
    if axes not in (*GREY, *LAST, *FIRST) or samples > 4:
        text = ", ".join(f"{axis} {size}" for axis, size in sizes.items())
        raise UnreadableImageError(f"a stack ({text}): expected one image, grey or in colour")
    if axes in ("CYX", "YXC") and samples == 2:
        raise UnreadableImageError("two channels: expected one image, grey or in colour")
    if page.dtype is None or page.dtype.kind not in "ub" or page.dtype.itemsize > 2:
        raise UnreadableImageError(
            f"{page.bitspersample}-bit pixels, whose range is not known: expected 8 or 16 bits, "
            f"unsigned; received {page.dtype}"
        )
    images = [one for one in file.series if one.kind not in ("label", "macro", "thumbnail")]
    if len(images) > 1:
        raise UnreadableImageError(f"{len(images)} images in one file: expected one")


def _read(series: Any) -> np.ndarray:
    try:
        return np.asarray(series.asarray(maxworkers=1))
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
        raise UnreadableImageError(
            f"compressed ({str(error).split()[0]}): pip install imagecodecs, or save it without"
        ) from None


def _to_bytes(pixels: np.ndarray, path: AnyPath, file: Any, page: Any) -> np.ndarray:
    if pixels.dtype.itemsize == 1:
        return pixels.astype(np.uint8) * (255 if pixels.dtype == bool else 1)
    peak = int(pixels.max(initial=0))
    bits = _told_bits(file, page)
    if bits is None or peak >= 2**bits:
        bits = bits_in_folder(path, peak, _find_peak)
    return to_8_bits(pixels, bits)


def _told_bits(file: Any, page: Any) -> int | None:
    """The bits that the file itself says are used, or None."""
    for name in ("MaxSampleValue", "SMaxSampleValue"):
        peak = int(np.max(page.tags.valueof(name, 0)))
        if 255 < peak < 65535:
            return bits_for(peak)
    found = re.search('SignificantBits="([89]|1[0-6])"', file.ome_metadata or "")
    return int(found[1]) if found else None


def _find_peak(path: AnyPath, file: BinaryIO) -> int:
    with _open(path, file) as tiff:
        series = tiff.series[0]
        check_sides(*(max(1, side) for side in series.shape[-2:]))
        return int(_read(series).max()) if series.dtype == np.uint16 else 0
