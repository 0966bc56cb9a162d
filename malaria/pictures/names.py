"""names: which files are images by their names, and which names are passed over."""

import os

SUFFIXES = (*(".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".tif", ".tiff", ".webp", ".gif"),)
# The same for people.
KINDS = f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
# What macOS puts into archives and folders beside the files.
NOT_THERE = ("__MACOSX",)
HIDDEN, NO_ENDING = "hidden", "no ending"


def is_image_name(name: str) -> bool:
    """Whether the ending of `name`, in any case, is that of an image."""
    return name.lower().endswith(SUFFIXES)


def is_hidden(name: str) -> bool:
    """Whether a name is passed over, such as ._a.png or .ipynb_checkpoints."""
    return name.startswith(".") or name in NOT_THERE


def ending_of(name: str) -> str:
    """What a file that is passed over is counted as."""
    return os.path.splitext(name)[1].lower()[:20] or NO_ENDING
