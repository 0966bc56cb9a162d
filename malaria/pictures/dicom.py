"""dicom: one image from a DICOM file, as bright as its file says that it is to be shown.

pydicom need not be installed, and is imported where such a file is read.
"""

import logging
import warnings
from contextlib import suppress
from functools import cache
from os import SEEK_END
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from malaria.base.streams import log
from malaria.pictures.depth import bits_for, in_rows, to_8_bits
from malaria.pictures.limits import UnreadableImageError, check_sides
from malaria.pictures.memory import Claim

# What stands at byte 128, and in the header of a file whose inflating nobody could bound.
PREFIX, PLACE, DEFLATED = b"DICM", 128, b"1.2.840.10008.1.2.1.99"
COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT")
INVERTED, GREY, PALETTE = "MONOCHROME1", ("MONOCHROME1", "MONOCHROME2"), "PALETTE COLOR"
# What says how grey levels are changed and shown.
LEVELS = (
    *("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence"),
    *("WindowCenter", "WindowWidth", "VOILUTSequence"),
)

_log_once = cache(log)


@cache
def _pydicom() -> Any:
    try:
        import pydicom.pixels
    except ImportError:
        raise UnreadableImageError("a DICOM image: pip install pydicom") from None
    # Odd entries are no reason to print anything.
    warnings.filterwarnings("ignore", module="pydicom")
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    return pydicom


def open_dicom(file: BinaryIO, claim: Claim) -> Image.Image:
    """The image, mode L or RGB. Raises UnreadableImageError.

    Grey levels are changed by the modality's table or slope, then by the first window or table of
    values of interest, as PS3.3 C.11 has it.
    """
    pydicom = _pydicom()
    file.seek(0)
    if DEFLATED in file.read(1000):
        raise UnreadableImageError("a deflated DICOM file: save it without that compression")
    size = file.seek(0, SEEK_END)
    file.seek(0)
    known = pydicom.dcmread(file)
    for name in LEVELS:
        # An empty entry, as those leave who take names out, says no more than none.
        if name in known and known[name].value in (None, "", []):
            del known[name]
    _check(known)
    each = known.SamplesPerPixel * (3 * known.BitsAllocated // 8 + 4)
    claim.take(known.Rows * known.Columns * each + size)
    return Image.fromarray(_to_bytes(_decode(known), known))


def _check(known: Any) -> None:
    if "PixelData" not in known:
        raise UnreadableImageError("a DICOM file without an image")
    check_sides(known.Columns, known.Rows)
    if (count := int(known.get("NumberOfFrames") or 1)) != 1:
        raise UnreadableImageError(f"a DICOM file of {count} frames: expected one image")
    if not 1 <= known.BitsStored <= known.BitsAllocated <= 16:
        raise UnreadableImageError(
            f"{known.BitsAllocated}-bit pixels, whose range is not known: expected 8 or 16 bits"
        )
    if not 0 < abs(slope := known.get("RescaleSlope", 1)) < np.inf:
        raise UnreadableImageError(f"a DICOM image of RescaleSlope {slope}: expected another")


def _decode(known: Any) -> np.ndarray:
    """(height, width) or (height, width, 3), as in the file, but for YBR, which becomes RGB."""
    pydicom, syntax = _pydicom(), known.file_meta.TransferSyntaxUID
    try:
        return np.asarray(pydicom.pixels.pixel_array(known))
    except (RuntimeError, NotImplementedError):  # of compressed ones alone
        missing: list[str] = []
        with suppress(NotImplementedError):
            missing = pydicom.pixels.get_decoder(syntax).missing_dependencies
        names = " or ".join(one.partition("requires ")[2] for one in missing)
        raise UnreadableImageError(
            f"a DICOM image compressed as {syntax.name}, damaged or without its decoder: install "
            f"{names or 'that'}, or save it without"
        ) from None


def _to_bytes(pixels: np.ndarray, known: Any) -> np.ndarray:
    """(height, width) or (height, width, 3), as in the file -> uint8."""
    kind = known.PhotometricInterpretation
    if kind in GREY:
        return _shown(pixels, known)
    if kind == PALETTE:
        pixels = _pydicom().pixels.apply_color_lut(pixels, known)
        bits = 8 * pixels.dtype.itemsize
    elif kind in COLOURS and pixels.dtype.kind == "u":
        bits = known.BitsStored
    else:
        raise UnreadableImageError(
            f"a DICOM image of the kind {kind}, {pixels.dtype}: expected grey or colour"
        )
    pixels = pixels[..., :3]
    return pixels if pixels.dtype == np.uint8 else to_8_bits(pixels, max(8, bits))


def _shown(pixels: np.ndarray, known: Any) -> np.ndarray:
    """Grey levels as on a screen, 0 black and 255 white."""
    low, high = _find_range(pixels, known)
    out = np.empty(pixels.shape, np.uint8)
    for rows in in_rows(len(pixels)):
        levels = (_change(pixels[rows], known) - low) * (255 / max(high - low, 1e-9))
        out[rows] = np.rint(levels).clip(0, 255)
    return 255 - out if known.PhotometricInterpretation == INVERTED else out


def _change(levels: np.ndarray, known: Any) -> np.ndarray:
    """Grey levels of the file -> what is to be shown, in a range that `_find_range` knows."""
    processing = _pydicom().pixels
    with np.errstate(all="ignore"):
        changed = processing.apply_voi_lut(processing.apply_modality_lut(levels, known), known)
    return np.asarray(changed, np.float64)


def _find_range(pixels: np.ndarray, known: Any) -> tuple[float, float]:
    """What is shown black and white (MONOCHROME2)."""
    if "VOILUTSequence" in known or {"WindowCenter", "WindowWidth"} <= set(known.dir()):
        # A window, or a table, ends in these whatever lies beyond it.
        with np.errstate(all="ignore"):
            ends = _pydicom().pixels.apply_voi_lut(np.array([-(2**30), 2**30]), known)
        return float(ends[0]), float(ends[1])
    is_plain = known.get("RescaleSlope", 1) == 1 and known.get("RescaleIntercept", 0) == 0
    if known.PixelRepresentation == 0 and is_plain and "ModalityLUTSequence" not in known:
        # That all 16 are used many files say whose camera had fewer.
        bits = known.BitsStored
        return 0, 2 ** (bits if bits < 16 else bits_for(int(pixels.max(initial=0)))) - 1
    _log_once("DICOM images without a window are read from their darkest to their brightest pixel")
    ends = _change(np.array([pixels.min(), pixels.max()]), known)
    return float(ends.min()), float(ends.max())
