"""depth: pictures of 16 bits a channel -> 8, by the bits that their camera really used.

A camera of 12 bits often writes 0..4095 into 16-bit files. Kept to its upper 8 bits such a picture
is almost black, and a network then answers with confidence and wrongly.
"""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from malaria.base.streams import log
from malaria.base.text import printable

# Cameras have one of these; 8 are grey levels 0..255 in a file of 16 bits.
DEPTHS = (8, 10, 12, 14, 16)
# So many pictures of a folder are looked at to find out.
LOOKED_AT = 64
# A picture's largest grey level, or None if it has 8 bits or cannot be read.
Peak = Callable[[Path], int | None]

# By folder, its time of change and the ending.
_known: dict[tuple[Path, int, str], int] = {}
_one_at_a_time = threading.Lock()


def to_8_bits(levels: np.ndarray, bits: int) -> np.ndarray:
    """Grey levels 0..2**bits - 1, uint16 -> 0..255, uint8: the upper 8 of the bits."""
    return (np.minimum(levels, 2**bits - 1) >> (bits - 8)).astype(np.uint8)


def bits_for(peak: int) -> int:
    """The fewest of DEPTHS in which grey levels up to `peak` have room."""
    return next(bits for bits in DEPTHS if peak < 2**bits)


def bits_in_folder(path: Path, own: int, peak_of: Peak) -> int:
    """The bits used by the pictures in the folder of `path` with the same ending; said once.

    own: the largest grey level of this one. peak_of: reads that of the others. All pictures of a
    folder are scaled alike, so that a dark one stays dark.
    """
    folder = path.resolve().parent
    key = folder, folder.stat().st_mtime_ns, path.suffix.lower()
    with _one_at_a_time:
        if key not in _known:
            peaks = (peak_of(other) for other in _others(path))
            _known[key] = bits_for(max([own, *(peak for peak in peaks if peak is not None)]))
            if _known[key] < 16:
                log(
                    f"{printable(path.parent)}: its 16-bit {path.suffix} pictures use "
                    f"{_known[key]} bits, and are read as such"
                )
        return max(_known[key], bits_for(own))


def _others(path: Path) -> Iterator[Path]:
    """Up to LOOKED_AT files of the same folder and ending, evenly from all of them."""
    suffix = path.suffix.lower()
    names = sorted(other for other in path.parent.iterdir() if other.suffix.lower() == suffix)
    step = max(1, len(names) // LOOKED_AT)
    yield from names[::step][:LOOKED_AT]
