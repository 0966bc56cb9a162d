"""limits: how large a picture may be, asked before it is decoded: a small file can fill memory."""

from malaria.base.errors import UserError

# A picture of one cell has under a megapixel, a field under 30.
MAX_PIXELS = 64_000_000
# Decoders take memory by the row too.
MAX_PICTURE_SIDE = 32_768
MAX_FILE_BYTES = 512_000_000


class UnreadableImageError(UserError):
    """A file that is no picture, is damaged, or holds pixels of no agreed range."""


def check_sides(width: int, height: int) -> None:
    """Raise UnreadableImageError if a picture, or one tile of it, is larger than allowed."""
    if width * height > MAX_PIXELS:
        raise UnreadableImageError(
            f"{width} x {height} pixels, more than the {MAX_PIXELS:,} allowed"
        )
    if max(width, height) > MAX_PICTURE_SIDE:
        raise UnreadableImageError(
            f"{width} x {height} pixels, a side above the {MAX_PICTURE_SIDE:,} allowed"
        )


def check_file_size(size: int) -> None:
    """Raise UnreadableImageError if a file has more bytes than allowed."""
    if size > MAX_FILE_BYTES:
        raise UnreadableImageError(f"{size:,} bytes, more than the {MAX_FILE_BYTES:,} allowed")
