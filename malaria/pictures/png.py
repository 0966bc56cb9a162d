"""png: all 16 bits of a PNG; of one in colour Pillow itself keeps the upper 8 only."""

import struct
from os import SEEK_CUR, SEEK_END
from typing import BinaryIO

import numpy as np
from PIL import Image
from PIL.ExifTags import Base

from malaria.pictures.depth import (
    Groups,
    bits_among,
    groups_in_folder,
    in_rows,
    peak_of,
    scale,
    to_8_bits,
    turn,
)
from malaria.pictures.limits import UnreadableImageError, check_sides
from malaria.pictures.memory import Claim
from malaria.pictures.remote_path import FilePath

# Where the first chunk begins, and in it the bits a channel, the kind of colour, and whether it is
# interlaced.
FIRST_CHUNK, BITS, COLOUR, INTERLACED = 8, 24, 25, 28
GREY = "I;16"  # begins the modes of Pillow for grey images of 16 bits
GREY_ALPHA = b"\x04"  # a kind of colour; Pillow makes RGBA of it
# Pillow's decoder of pixels, and of its kinds of samples the ending of that with the lower bits. It
# documents neither: tried with Pillow 11.3 and 13.0. Where one is unknown the image is refused.
DECODER, LOWER_BITS = "zip", ";16L"


def open_deep_png(
    image: Image.Image, file: BinaryIO, path: FilePath, claim: Claim
) -> Image.Image | None:
    """An opened PNG of 16 bits a channel, scaled to 8 by the bits used; None for other images.

    file: where `image` was opened from. The result is mode L, LA, RGB or RGBA.
    """
    if not _is_deep(image, file):
        return None
    groups = groups_in_folder(path, _find_peak)
    is_grey = image.mode.startswith(GREY)
    pixels = _grey(image, groups, claim) if is_grey else scale(_levels(image, file, claim), groups)
    return turn(Image.fromarray(pixels), image.getexif().get(Base.Orientation))


def _is_deep(image: Image.Image, file: BinaryIO) -> bool:
    if image.mode.startswith(GREY):
        return True
    if image.format != "PNG" or image.mode not in ("RGB", "RGBA"):
        return False
    file.seek(BITS)
    return file.read(1) == b"\x10"


def _grey(image: Image.Image, groups: Groups, claim: Claim) -> np.ndarray:
    """(height, width), uint8."""
    bits = bits_among(groups, _peak_of_grey(image, claim))
    out = np.empty((image.height, image.width), np.uint8)
    for rows in in_rows(image.height):
        part = image.crop((0, rows.start, image.width, rows.stop))
        out[rows] = to_8_bits(np.asarray(part).astype(np.uint16, copy=False), bits)
    return out


def _peak_of_grey(image: Image.Image, claim: Claim) -> int:
    claim.take(image.width * image.height * 3)
    return int(np.max(image.getextrema()))


def _levels(image: Image.Image, file: BinaryIO, claim: Claim) -> np.ndarray:
    """(height, width, 2, 3 or 4), uint16, of an image in colour or with transparency."""
    claim.take(image.width * image.height * 16 + file.seek(0, SEEK_END))
    file.seek(COLOUR)
    if file.read(1) == GREY_ALPHA:  # its four bytes a pixel are read as if they were four channels
        return np.asarray(_decode(image, file, "RGBA", "RGBA")).view(">u2").astype(np.uint16)
    lower = _decode(image, file, image.mode, image.mode + LOWER_BITS)
    levels = np.empty((image.height, image.width, len(image.mode)), np.uint16)
    for rows in in_rows(image.height):
        place = 0, rows.start, image.width, rows.stop
        levels[rows] = np.asarray(image.crop(place))
        levels[rows] = (levels[rows] << 8) | np.asarray(lower.crop(place))
    return levels


def _decode(image: Image.Image, file: BinaryIO, mode: str, kind: str) -> Image.Image:
    file.seek(INTERLACED)
    interlaced = file.read(1)[0]
    try:
        return Image.frombytes(mode, image.size, _compressed(file), DECODER, kind, interlaced)
    except Exception as error:
        raise UnreadableImageError(
            f"16 bits in colour, which Pillow cannot decode here ({error}): save it with 8 bits"
        ) from error


def _compressed(file: BinaryIO) -> bytes:
    file.seek(FIRST_CHUNK)
    parts = []
    while len(start := file.read(8)) == 8:
        size, name = struct.unpack(">I4s", start)
        parts.append(file.read(size) if name == b"IDAT" else b"")
        file.seek(4 if name == b"IDAT" else size + 4, SEEK_CUR)
    return b"".join(parts)


def _find_peak(_: FilePath, file: BinaryIO) -> int:
    with Image.open(file, formats=("PNG",)) as image, Claim() as claim:
        check_sides(*image.size)
        if image.mode.startswith(GREY):
            return _peak_of_grey(image, claim)
        return peak_of(_levels(image, file, claim)) if _is_deep(image, file) else 0
