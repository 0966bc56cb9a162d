"""png: all 16 bits of a PNG; of one in colour Pillow itself keeps the upper 8 only."""

import struct
from os import SEEK_CUR
from typing import BinaryIO

import numpy as np
from PIL import Image
from PIL.ExifTags import Base

from malaria.pictures.depth import bits_in_folder, to_8_bits, turn
from malaria.pictures.limits import UnreadableImageError, check_sides
from malaria.pictures.remote_path import AnyPath

# Where the first chunk begins, and in it the bits a channel, ..., and whether it is interlaced.
FIRST_CHUNK, BITS = 8, 24
# Pillow's decoder of pixels, and of its kinds of samples the ending of that with the lower bits. It
# documents neither: tried with Pillow 11.3 and 13.0. Where one is unknown the image is refused.
DECODER, LOWER_BITS = "zip", ";16L"


def open_deep_png(image: Image.Image, file: BinaryIO, path: AnyPath) -> Image.Image | None:
    """An opened PNG of 16 bits a channel, scaled to 8 by the bits used; None for other images.

    file: where `image` was opened from. The result is mode L, RGB or RGBA.
    """
    levels = _levels(image, file)
    if levels is None:
        return None
    bits = bits_in_folder(path, _peak(levels), _find_peak)
    return turn(Image.fromarray(to_8_bits(levels, bits)), image.getexif().get(Base.Orientation))


def _levels(image: Image.Image, file: BinaryIO) -> np.ndarray | None:
    """(height, width) or (height, width, 3 or 4), uint16; None for an image of 8 bits or fewer."""
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    if image.format != "PNG" or image.mode not in ("RGB", "RGBA"):
        return None
    file.seek(BITS)
    bits, *_, interlaced = file.read(5)
    if bits != 16:
        return None
    upper, kind = np.asarray(image).astype(np.uint16), (image.mode + LOWER_BITS, interlaced)
    try:
        lower = Image.frombytes(image.mode, image.size, _compressed(file), DECODER, *kind)
    except Exception as error:
        raise UnreadableImageError(
            f"16 bits in colour, which Pillow cannot decode here ({error}): save it with 8 bits"
        ) from error
    return (upper << 8) | np.asarray(lower)


def _compressed(file: BinaryIO) -> bytes:
    file.seek(FIRST_CHUNK)
    parts = []
    while len(start := file.read(8)) == 8:
        size, name = struct.unpack(">I4s", start)
        parts.append(file.read(size) if name == b"IDAT" else b"")
        file.seek(4 if name == b"IDAT" else size + 4, SEEK_CUR)
    return b"".join(parts)


def _peak(levels: np.ndarray) -> int:
    """The largest level of the colours; opaque pixels have the largest alpha there is."""
    return int(levels[..., :3].max(initial=0) if levels.ndim == 3 else levels.max(initial=0))


def _find_peak(_: AnyPath, file: BinaryIO) -> int:
    with Image.open(file, formats=("PNG",)) as image:
        check_sides(*image.size)
        levels = _levels(image, file)
        return 0 if levels is None else _peak(levels)
