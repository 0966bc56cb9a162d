"""depth: images of 16 bits a channel -> 8, by the bits that their camera really used.

A camera of 12 bits often writes 0..4095 into 16-bit files. Kept to its upper 8 bits such an image
is almost black, and a network then answers with confidence and wrongly.
"""

import threading
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageOps
from PIL.ExifTags import Base

from malaria.base.errors import UserError
from malaria.base.streams import log
from malaria.base.text import printable
from malaria.pictures.folders import list_folder
from malaria.pictures.limits import open_regular
from malaria.pictures.remote_files import read_remote
from malaria.pictures.remote_path import AnyPath, RemotePath

# Of cameras; 8 are grey levels 0..255 in a file of 16 bits.
DEPTHS = (8, 10, 12, 14, 16)
# So many images of a folder are looked at.
LOOKED_AT = 64
# Gives the largest grey level in an opened file; 0 if it has 8 bits.
FindPeak = Callable[[AnyPath, BinaryIO], int]

_one_at_a_time = threading.Lock()


def to_8_bits(levels: np.ndarray, bits: int) -> np.ndarray:
    """Grey levels 0..2**bits - 1, uint16 -> 0..255, uint8: the upper 8 of the bits."""
    return (np.minimum(levels, 2**bits - 1) >> (bits - 8)).astype(np.uint8)


def turn(image: Image.Image, orientation: Any) -> Image.Image:
    """An image without metadata, upright as the metadata of its file says."""
    image.getexif()[Base.Orientation] = orientation or 1
    return ImageOps.exif_transpose(image)


def bits_for(peak: int) -> int:
    """The fewest of DEPTHS that hold grey levels up to `peak`."""
    return next(bits for bits in DEPTHS if peak < 2**bits)


def bits_in_folder(path: AnyPath, own: int, find_peak: FindPeak) -> int:
    """The bits used by the images in the folder of `path` with the same ending; said once.

    own: the largest grey level of this one. All images of a folder are scaled alike, so that a
    dark one stays dark.
    """
    folder = path.parent if isinstance(path, RemotePath) else path.resolve().parent
    # A folder that has changed is asked again; of one on another machine that is not known.
    changed = 0 if isinstance(folder, RemotePath) else folder.stat().st_mtime_ns
    with _one_at_a_time:
        return max(bits_for(own), _find_bits(folder, path.suffix.lower(), find_peak, changed))


@cache
def _find_bits(folder: AnyPath, suffix: str, find_peak: FindPeak, _changed: int) -> int:
    try:
        images = [
            path for path in list_folder(folder, Counter())[0] if path.suffix.lower() == suffix
        ]
    except UserError:  # as of http, where a server does not list what it has
        images = []
    some = images[:: max(1, len(images) // LOOKED_AT)][:LOOKED_AT]
    bits = bits_for(max((_peak_of(path, find_peak) for path in some), default=0))
    if bits < 16:
        log(
            f"{printable(folder)}: its 16-bit {suffix} images use {bits} bits, and are read as such"
        )
    return bits


def _peak_of(path: AnyPath, find_peak: FindPeak) -> int:
    """0 also for a file that cannot be read: what is wrong with it is told when it is its turn."""
    try:
        with read_remote(path) if isinstance(path, RemotePath) else open_regular(path) as file:
            return find_peak(path, file)
    except Exception:
        return 0
