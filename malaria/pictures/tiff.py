"""tiff: one image from a TIFF, as microscopes write them: planes, 16 bits, OME, ImageJ."""

import logging
import re
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from malaria.pictures.depth import (
    Groups,
    bits_for,
    groups_in_folder,
    peak_of,
    scale,
    turn,
)
from malaria.pictures.limits import UnreadableImageError, check_sides
from malaria.pictures.memory import Claim
from malaria.pictures.remote_path import FilePath
from malaria.pictures.tiff_channels import TRANSPARENCY, Samples, find_samples

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# The axes of an image without those of length 1: rows, columns, and samples or channels.
GREY, LAST, FIRST = ("YX",), ("YXS", "YXC"), ("SYX", "CYX")
# Three pages of one array whose writer did not say what they are; newer tifffile writes planes so.
UNNAMED = "QYX"
# Photometric interpretations that are grey levels as they are; other kinds are left to Pillow.
MIN_IS_WHITE, MIN_IS_BLACK, RGB = 0, 1, 2
MOST_PAGES = 100
# The tag of what samples are beside the colours.
EXTRA_SAMPLES = 338


def open_tiff(path: FilePath, file: BinaryIO, claim: Claim) -> Image.Image | None:
    """The image, mode L, LA, RGB or RGBA, or None where Pillow reads it as well.

    file: what is at `path`. Pillow takes the first plane for the image, and of 16 bits in colour
    the upper 8. Raises UnreadableImageError for a stack, for channels that are no colours and for
    pixels of no known range.
    """
    with open_pages(path, file) as tiff:
        page, series = tiff.pages[0], tiff.series[0]
        axes, shape = _axes_of(series)
        _check(tiff, page, axes, shape)
        if page.photometric not in (MIN_IS_WHITE, MIN_IS_BLACK, RGB):
            return None
        count = _count(axes, shape)
        # That every Pillow knows.
        most = 4 if page.photometric == RGB else 1 + (page.extrasamples == (TRANSPARENCY,))
        if series.dtype == np.uint8 and axes not in FIRST and count <= most:
            find_samples(path, tiff, count)
            return None
        groups = _told_bits(tiff, page)
        if not groups and series.dtype == np.uint16:
            groups = groups_in_folder(path, _find_peak)
        image = _to_image(*_read(tiff, path, claim), groups, page.photometric)
    return turn(image, page.tags.valueof("Orientation"))


def without_unnamed(image: Image.Image) -> Image.Image:
    """An image that Pillow has read, without the sample that it takes for transparency untold."""
    if image.format == "TIFF" and image.mode in ("LA", "PA", "RGBA"):
        told: Any = getattr(image, "tag_v2", {}).get(EXTRA_SAMPLES, ())
        return image if {1, 2}.intersection(told) else image.convert("RGB")
    return image


def _count(axes: str, shape: tuple[int, ...]) -> int:
    """The samples or channels of a pixel."""
    sizes = dict(zip(axes, shape, strict=True))
    return sizes.get("S", sizes.get("C", 1))


def open_pages(path: FilePath, file: BinaryIO) -> Any:
    """The TiffFile of what is at `path`, quiet. Raises UnreadableImageError for a long stack."""
    import tifffile  # a tenth of a second that other images need not pay

    # It tells of each odd tag on stderr; what matters is raised.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)
    # One here may be in several files. One of another machine, in memory, leads to no file here.
    file.seek(0)
    tiff = tifffile.TiffFile(path if isinstance(path, Path) else file)
    # All pages are visited for what they are together, and in a damaged file they never end.
    with suppress(IndexError):
        tiff.pages[MOST_PAGES]
        tiff.close()
        raise UnreadableImageError(f"a stack of more than {MOST_PAGES} pages: expected one image")
    return tiff


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
    if axes not in (*GREY, *LAST, *FIRST):
        text = ", ".join(f"{axis} {size}" for axis, size in sizes.items())
        raise UnreadableImageError(f"a stack ({text}): expected one image, grey or in colour")
    if page.dtype is None or page.dtype.kind not in "ub" or page.dtype.itemsize > 2:
        raise UnreadableImageError(
            f"{page.bitspersample}-bit pixels, whose range is not known: expected 8 or 16 bits, "
            f"unsigned; received {page.dtype}"
        )
    images = [one for one in file.series if one.kind not in ("label", "macro", "thumbnail")]
    if len(images) > 1:
        raise UnreadableImageError(f"{len(images)} images in one file: expected one")


def _read(file: Any, path: FilePath, claim: Claim) -> tuple[np.ndarray, Samples]:
    """((height, width) or (height, width, channels), what they are): as they are in the file.

    Of two or four channels the last is the alpha. Raises UnreadableImageError.
    """
    series = file.series[0]
    axes, shape = _axes_of(series)
    samples = find_samples(path, file, _count(axes, shape))
    claim.take(int(np.prod(shape)) * (series.dtype.itemsize + 3))
    try:
        pixels: np.ndarray = series.asarray(maxworkers=1).reshape(shape)
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
        raise UnreadableImageError(
            f"compressed ({str(error).split()[0]}): pip install imagecodecs, or save it without"
        ) from None
    if axes in FIRST:
        pixels = np.moveaxis(pixels, 0, -1)
    if pixels.ndim == 3 and samples.places != tuple(range(pixels.shape[2])):
        pixels = pixels[..., samples.places]
    return pixels, samples


def _to_image(
    pixels: np.ndarray, samples: Samples, groups: Groups, photometric: int
) -> Image.Image:
    """pixels, samples: as `_read` gives them. groups: of the bits that the folder uses."""
    if pixels.dtype == np.uint16:
        pixels = scale(pixels, groups)
    else:
        pixels = pixels.astype(np.uint8) * (255 if pixels.dtype == bool else 1)
    if photometric == MIN_IS_WHITE:
        colours = pixels if samples.alpha is None else pixels[..., :-1]
        np.subtract(255, colours, out=colours)
    if samples.is_premultiplied:
        # Such colours are what they are before black already, and no brighter than their alpha.
        pixels = np.minimum(pixels[..., :-1], pixels[..., -1:])
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    return Image.fromarray(np.ascontiguousarray(pixels))


def _told_bits(file: Any, page: Any) -> Groups:
    """The bits that the file itself says are used, if it does."""
    if 8 < page.bitspersample < 16:
        return (int(page.bitspersample),)
    for name in ("MaxSampleValue", "SMaxSampleValue"):
        peak = int(np.max(page.tags.valueof(name, 0)))
        if 255 < peak < 65535:
            return (bits_for(peak),)
    found = re.search('SignificantBits="([89]|1[0-6])"', file.ome_metadata or "")
    return (int(found[1]),) if found else ()


def _find_peak(path: FilePath, file: BinaryIO) -> int:
    with open_pages(path, file) as tiff, Claim() as claim:
        series = tiff.series[0]
        _check(tiff, tiff.pages[0], *_axes_of(series))
        return peak_of(_read(tiff, path, claim)[0]) if series.dtype == np.uint16 else 0
