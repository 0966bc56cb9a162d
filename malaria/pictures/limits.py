"""limits: what is taken for an image, and how large it may be: a small file can fill memory."""

import os
from pathlib import Path
from typing import BinaryIO

from malaria.base import files
from malaria.base.errors import UserError

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".tif", ".tiff", ".webp", ".gif"),
    *(".dcm", ".dicom", ".heic", ".heif", ".hif"),
)
# The same for people.
KINDS = f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
# An image of one cell has under a megapixel, a field of most cameras under 30.
MAX_PIXELS = 100_000_000
# Decoders take memory by the row too.
MAX_IMAGE_SIDE = 32_768
MAX_FILE_BYTES = 512_000_000


class UnreadableImageError(UserError):
    """A file that is no image, is damaged, or holds pixels of no agreed range."""


def is_image_name(name: str) -> bool:
    """Whether the ending of `name`, in any case, is that of an image."""
    return name.lower().endswith(SUFFIXES)


def is_hidden(name: str) -> bool:
    """Whether a name is passed over: ._a.png, .ipynb_checkpoints, or what macOS adds to a zip."""
    return name.startswith(".") or name == "__MACOSX"


def kind_of(name: str) -> str:
    """What a name that is passed over is counted as: hidden, or its ending."""
    if is_hidden(name):
        return "hidden"
    return os.path.splitext(name)[1].lower()[:20] or "no ending"


def open_regular(path: Path, limit: int | None = MAX_FILE_BYTES) -> BinaryIO:
    """Open a file of this machine for reading. Raises OSError, UnreadableImageError."""
    return files.open_regular(path, limit, UnreadableImageError)


def check_sides(width: int, height: int) -> None:
    """Raise UnreadableImageError if an image, or one tile of it, is larger than allowed."""
    if width * height > MAX_PIXELS or max(width, height) > MAX_IMAGE_SIDE:
        allowed = f"{MAX_PIXELS:,}, or {MAX_IMAGE_SIDE:,} a side, allowed"
        raise UnreadableImageError(f"{width} x {height} pixels, more than the {allowed}")
