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


def open_regular(path: Path) -> BinaryIO:
    """Open a file of this machine for reading. Raises OSError, UnreadableImageError.

    A pipe or a device with the name of an image would be waited on for ever.
    """
    file = open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb")  # noqa: SIM115
    known = os.fstat(file.fileno())
    reason = None if stat.S_ISREG(known.st_mode) else "not a regular file"
    if reason is None and known.st_size > MAX_FILE_BYTES:
        reason = f"{known.st_size:,} bytes, more than the {MAX_FILE_BYTES:,} allowed"
    if reason is None:
        return file
    file.close()
    raise UnreadableImageError(reason)


def check_sides(width: int, height: int) -> None:
    """Raise UnreadableImageError if an image, or one tile of it, is larger than allowed."""
    if width * height > MAX_PIXELS:
        raise UnreadableImageError(
            f"{width} x {height} pixels, more than the {MAX_PIXELS:,} allowed"
        )
    if max(width, height) > MAX_PICTURE_SIDE:
        raise UnreadableImageError(
            f"{width} x {height} pixels, a side above the {MAX_PICTURE_SIDE:,} allowed"
        )
