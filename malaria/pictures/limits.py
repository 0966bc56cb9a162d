"""limits: what an image file may be, asked before it is decoded: a small one can fill memory."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from malaria.base.errors import UserError

# An image of one cell has under a megapixel, a field under 30.
MAX_PIXELS = 64_000_000
# Decoders take memory by the row too.
MAX_PICTURE_SIDE = 32_768
MAX_FILE_BYTES = 512_000_000


class UnreadableImageError(UserError):
    """A file that is no image, is damaged, or holds pixels of no agreed range."""


def open_regular(path: Path, limit: int | None = MAX_FILE_BYTES) -> BinaryIO:
    """Open a file of this machine for reading. Raises OSError, UnreadableImageError.

    A pipe or a device with the name of an image would be waited on for ever.
    """
    more = getattr(os, "O_NONBLOCK", 0)
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | more))  # noqa: SIM115
    known = os.fstat(file.fileno())
    if not stat.S_ISREG(known.st_mode):
        file.close()
        raise UnreadableImageError("not a regular file")
    if limit is not None and known.st_size > limit:
        file.close()
        raise UnreadableImageError(f"{known.st_size:,} bytes, more than the {limit:,} allowed")
    return file


def check_sides(width: int, height: int) -> None:
    """Raise UnreadableImageError if an image, or one tile of it, is larger than allowed."""
    if width * height > MAX_PIXELS or max(width, height) > MAX_PICTURE_SIDE:
        allowed = f"{MAX_PIXELS:,}, or {MAX_PICTURE_SIDE:,} a side, allowed"
        raise UnreadableImageError(f"{width} x {height} pixels, more than the {allowed}")
