"""heic: the images of phones, with pillow-heif, which need not be installed."""

import re
from functools import cache

from malaria.pictures.limits import UnreadableImageError

# The first bytes of a file, whatever its name.
BEGINNING = re.compile(rb".{4}ftyp(hei[cxms]|hev[cx]|mif1|msf1)", re.DOTALL)


@cache
def heic_formats() -> tuple[str, ...]:
    """What Pillow calls it, once it can read it. Raises UnreadableImageError."""
    try:
        import pillow_heif
    except ImportError:
        raise UnreadableImageError(
            "a HEIC image, as phones save them: pip install pillow-heif"
        ) from None
    # The thread that reads an image decodes it; others read others.
    pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, decode_threads=1)
    return ("HEIF",)
