"""names: which files are images by their names, and which names are passed over."""

import os

SUFFIXES = (*(".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".tif", ".tiff", ".webp", ".gif"),)
# The same for people.
KINDS = f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
HIDDEN = "hidden"


def is_image_name(name: str) -> bool:
    """Whether the ending of `name`, in any case, is that of an image."""
    return name.lower().endswith(SUFFIXES)


def is_hidden(name: str) -> bool:
    """Whether a name is passed over: ._a.png, .ipynb_checkpoints, or what macOS adds to a zip."""
    return name.startswith(".") or name == "__MACOSX"


def ending_of(name: str) -> str:
    """What a file that is passed over is counted as."""
    return os.path.splitext(name)[1].lower()[:20] or "no ending"
