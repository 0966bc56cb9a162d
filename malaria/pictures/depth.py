"""depth: images of 16 bits a channel -> 8, by the bits that their camera really used.

A camera of 12 bits often writes 0..4095 into 16-bit files. Kept to its upper 8 bits such an image
is almost black, and a network then answers with confidence and wrongly.
"""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import BinaryIO

import numpy as np

from malaria.base.errors import UserError
from malaria.base.streams import log
from malaria.base.text import printable
from malaria.pictures.limits import open_regular
from malaria.pictures.remote_files import read_remote
from malaria.pictures.remote_folders import list_remote
from malaria.pictures.remote_path import AnyPath, RemotePath

# Cameras have one of these; 8 are grey levels 0..255 in a file of 16 bits.
DEPTHS = (8, 10, 12, 14, 16)
# So many images of a folder are looked at to find out.
LOOKED_AT = 64
# Finds the largest grey level in an opened file; 0 if it has 8 bits.
FindPeak = Callable[[AnyPath, BinaryIO], int]

# By folder, its time of change and the ending.
_known: dict[tuple[AnyPath, int, str], int] = {}
_one_at_a_time = threading.Lock()


def to_8_bits(levels: np.ndarray, bits: int) -> np.ndarray:
    """Grey levels 0..2**bits - 1, uint16 -> 0..255, uint8: the upper 8 of the bits."""
    return (np.minimum(levels, 2**bits - 1) >> (bits - 8)).astype(np.uint8)


def bits_for(peak: int) -> int:
    """The fewest of DEPTHS in which grey levels up to `peak` have room."""
    return next(bits for bits in DEPTHS if peak < 2**bits)


def bits_in_folder(path: AnyPath, own: int, find_peak: FindPeak) -> int:
    """The bits used by the images in the folder of `path` with the same ending; said once.

    own: the largest grey level of this one. find_peak: finds that of the others. All images of a
    folder are scaled alike, so that a dark one stays dark.
    """
    key = *_folder_of(path), path.suffix.lower()
    with _one_at_a_time:
        if key not in _known:
            peaks = (_peak_of(other, find_peak) for other in _others(path))
            _known[key] = bits_for(max([own, *peaks]))
            if _known[key] < 16:
                log(
                    f"{printable(path.parent)}: its 16-bit {path.suffix} pictures use "
                    f"{_known[key]} bits, and are read as such"
                )
        return max(_known[key], bits_for(own))


def _peak_of(path: AnyPath, find_peak: FindPeak) -> int:
    """0 also for a file that cannot be read: what is wrong with it is told when it is its turn."""
    try:
        with read_remote(path) if isinstance(path, RemotePath) else open_regular(path) as file:
            return find_peak(path, file)
    except Exception:
        return 0


def _folder_of(path: AnyPath) -> tuple[AnyPath, int]:
    """The folder and its time of change, which is not known of another machine."""
    if isinstance(path, RemotePath):
        return path.parent, 0
    folder = path.resolve().parent
    return folder, folder.stat().st_mtime_ns


def _others(path: AnyPath) -> list[AnyPath]:
    """Up to LOOKED_AT files of the same folder and ending, evenly from all of them."""
    suffix = path.suffix.lower()
    others = [other for other in _beside(path) if other.suffix.lower() == suffix]
    return others[:: max(1, len(others) // LOOKED_AT)][:LOOKED_AT]


def _beside(path: AnyPath) -> Sequence[AnyPath]:
    """What lies in the same folder, sorted; of another machine itself where nothing is listed."""
    if not isinstance(path, RemotePath):
        return sorted(path.parent.iterdir())
    try:
        return list_remote(path.parent, Counter())[0]
    except UserError:
        return [path]
