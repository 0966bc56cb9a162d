"""depth: images of 16 bits a channel -> 8, by the bits that their camera really used.

A camera of 12 bits often writes 0..4095 into 16-bit files. Kept to its upper 8 bits such an image
is almost black, and a network then answers with confidence and wrongly.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
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
from malaria.pictures.remote_path import FilePath, RemotePath

# Of cameras; 8 are grey levels 0..255 in a file of 16 bits.
DEPTHS = (8, 10, 12, 14, 16)
# Bits that no camera leaves unused in one image of many: it is of another camera.
FAR = 4
# So many images of a folder are looked at.
LOOKED_AT = 64
# Gives the largest grey level in an opened file; 0 if it has 8 bits.
FindPeak = Callable[[FilePath, BinaryIO], int]
# Bits, each more than the one before it.
Groups = tuple[int, ...]
# Of an image, converted at a time.
ROWS = 64

_one_at_a_time = threading.Lock()


def to_8_bits(levels: np.ndarray, bits: int) -> np.ndarray:
    """Grey levels 0..2**bits - 1, uint16 -> 0..255, uint8: the upper 8 of the bits."""
    out = np.empty(levels.shape, np.uint8)
    # Some rows at a time, for an image may be large.
    for rows in in_rows(levels.shape[0]):
        out[rows] = np.minimum(levels[rows], 2**bits - 1) >> (bits - 8)
    return out


def scale(levels: np.ndarray, groups: Groups) -> np.ndarray:
    """Grey levels of an image, uint16 -> uint8; groups: of the bits that its folder uses.

    (height, width) or (height, width, channels); of two or four channels the last is its alpha.
    """
    if levels.ndim == 2 or levels.shape[2] in (1, 3):
        return to_8_bits(levels, bits_among(groups, peak_of(levels)))
    # Alpha has a range of its own: beside 12 bits of colour 65535 may stand for opaque.
    alpha = levels[..., -1:]
    own = to_8_bits(alpha, bits_for(int(alpha.max(initial=0))))
    return np.concatenate([scale(levels[..., :-1], groups), own], axis=2)


def peak_of(levels: np.ndarray) -> int:
    """The largest of the colours' grey levels, as in `scale`; opaque pixels have the most alpha."""
    has_alpha = levels.ndim == 3 and levels.shape[2] in (2, 4)
    return int((levels[..., :-1] if has_alpha else levels).max(initial=0))


def in_rows(height: int) -> Iterator[slice]:
    """The rows of an image, some at a time."""
    return (slice(top, min(top + ROWS, height)) for top in range(0, height, ROWS))


def turn(image: Image.Image, orientation: Any) -> Image.Image:
    """An image without metadata, upright as the metadata of its file says."""
    image.getexif()[Base.Orientation] = orientation or 1
    ImageOps.exif_transpose(image, in_place=True)
    return image


def bits_for(peak: int) -> int:
    """The fewest of DEPTHS that hold grey levels up to `peak`."""
    return next(bits for bits in DEPTHS if peak < 2**bits)


def bits_among(groups: Groups, peak: int) -> int:
    """The bits by which an image is scaled: the fewest of the `groups` that hold its peak.

    peak: its largest grey level. A dark image is scaled as those of its folder, and stays dark; one
    brighter than all that were looked at, or 16 times darker, counts for itself.
    """
    own = bits_for(peak)
    return next((bits for bits in groups if own <= bits < own + FAR), own)


def groups_in_folder(path: FilePath, find_peak: FindPeak) -> Groups:
    """The bits used by images in the folder of `path` with the same ending; said once."""
    folder = path.parent if isinstance(path, RemotePath) else path.resolve().parent
    # A folder that has changed is asked again; of one on another machine that is not known.
    changed = 0 if isinstance(folder, RemotePath) else folder.stat().st_mtime_ns
    with _one_at_a_time:
        return _find_groups(folder, path.suffix.lower(), find_peak, changed)


@cache
def _find_groups(folder: FilePath, suffix: str, find_peak: FindPeak, _changed: int) -> Groups:
    try:
        images = [
            path for path in list_folder(folder, Counter())[0] if path.suffix.lower() == suffix
        ]
    except UserError:  # as of http, where a server does not list what it has
        images = []
    some = images[:: max(1, len(images) // LOOKED_AT)][:LOOKED_AT]
    # Without images of 8 bits, and black ones, which fit anything.
    peaks = [peak for path in some if (peak := _find_one(path, find_peak))]
    groups = group_peaks(peaks)
    dark = sum(bits_for(peak) < bits_among(groups, peak) for peak in peaks)
    if dark or groups not in ((), (16,)):
        more = f"; {dark} dark, or of a camera of fewer bits" if dark else ""
        log(f"{printable(folder)}: {_describe(groups, peaks, suffix)}{more}")
    return groups


def group_peaks(peaks: Sequence[int]) -> Groups:
    """The bits of the cameras that made images of these largest grey levels, fewest first.

    Those of the brightest image are among them.
    """
    groups: Groups = ()
    for bits in sorted(set(map(bits_for, peaks)), reverse=True):
        if not groups or groups[0] - bits >= FAR or _is_group(bits, peaks):
            groups = (bits, *groups)
    return groups


def _is_group(bits: int, peaks: Sequence[int]) -> bool:
    """Whether a camera of these bits made some images, or they are dark ones of one of more bits.

    A quarter of the light is common: then many of the images fill the bits. Of dark images some are
    a little brighter than the bits.
    """
    fill = [peak / 2**bits for peak in peaks if peak / 2**bits >= 0.5]
    inside, above = sum(one < 1 for one in fill), sum(1 <= one < 1.5 for one in fill)
    return inside >= max(3, 4 * above, len(peaks) // 4)


def _describe(groups: Groups, peaks: Sequence[int], suffix: str) -> str:
    if len(groups) == 1:
        return f"its 16-bit {suffix} images use {groups[0]} bits, and are read as such"
    counts = Counter(bits_among(groups, peak) for peak in peaks)
    told = ", ".join(f"{counts[bits]} use {bits} bits" for bits in groups)
    return f"of {len(peaks)} 16-bit {suffix} images {told}: each is read by its own"


def _find_one(path: FilePath, find_peak: FindPeak) -> int:
    """0 also for a file that cannot be read: what is wrong with it is told when it is its turn."""
    try:
        with read_remote(path) if isinstance(path, RemotePath) else open_regular(path) as file:
            return find_peak(path, file)
    except Exception:
        return 0
