"""png: all 16 bits of a PNG; of one in colour Pillow itself keeps the upper 8 only."""

from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from malaria.pictures.depth import bits_in_folder, to_8_bits
from malaria.pictures.limits import check_sides
from malaria.pictures.opening import open_beside
from malaria.pictures.remote_path import AnyPath

ORIENTATION = 0x0112
# How Pillow unpacks 16-bit samples, and the way of unpacking that gives their lower halves.
LOWER = {"RGB;16B": "RGB;16L", "RGBA;16B": "RGBA;16L"}


def open_deep_png(image: Image.Image, file: BinaryIO, path: AnyPath) -> Image.Image | None:
    """An opened PNG of 16 bits a channel, scaled to 8 by the bits used; None for other pictures.

    file: where `image` was opened from. The result is mode L, RGB or RGBA.
    """
    levels = _levels(image, file)
    if levels is None:
        return None
    bits = bits_in_folder(path, _peak(levels), _peak_of)
    deep = Image.fromarray(_with_alpha(to_8_bits(levels, bits), levels, image))
    deep.getexif()[ORIENTATION] = image.getexif().get(ORIENTATION, 1)
    return ImageOps.exif_transpose(deep)


def _levels(image: Image.Image, file: BinaryIO) -> np.ndarray | None:
    """(height, width) or (height, width, 3 or 4), uint16; None for a picture of 8 bits or fewer."""
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    tile = getattr(image, "tile", None)
    if image.format != "PNG" or not tile or tile[0].args not in LOWER:
        return None
    file.seek(0)
    with Image.open(file, formats=("PNG",)) as lower:
        lower.tile = [one._replace(args=LOWER[one.args]) for one in lower.tile]
        low = np.asarray(lower).astype(np.uint16)
    file.seek(0)
    with Image.open(file, formats=("PNG",)) as upper:
        return np.asarray(upper).astype(np.uint16) << 8 | low


def _peak(levels: np.ndarray) -> int:
    """The largest level of the colours; opaque pixels have the largest alpha there is."""
    return int(levels[..., :3].max(initial=0) if levels.ndim == 3 else levels.max(initial=0))


def _with_alpha(pixels: np.ndarray, levels: np.ndarray, image: Image.Image) -> np.ndarray:
    """The pixels, transparent where the PNG says that one colour is."""
    clear = image.info.get("transparency")
    if not isinstance(clear, (int, tuple)) or (levels.ndim == 3 and levels.shape[2] == 4):
        return pixels
    same = levels == np.asarray(clear)
    opaque = ~(same.all(axis=2) if levels.ndim == 3 else same)
    colours = pixels if pixels.ndim == 3 else np.stack([pixels] * 3, axis=2)
    return np.concatenate([colours, opaque[..., None].astype(np.uint8) * 255], axis=2)


def _peak_of(path: AnyPath) -> int | None:
    """The largest grey level of a 16-bit PNG."""
    try:
        with open_beside(path) as file, Image.open(file, formats=("PNG",)) as image:
            check_sides(*image.size)
            levels = _levels(image, file)
            return None if levels is None else _peak(levels)
    except Exception:
        # Whatever is wrong with it is told when it is its turn.
        return None
