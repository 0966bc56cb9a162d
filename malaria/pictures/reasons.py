"""reasons: why something is no image that is read, in one line."""

import re

from PIL import UnidentifiedImageError

from malaria.pictures.limits import UnreadableImageError

# By the kind of error.
ERRORS: dict[type[Exception], str] = {
    FileNotFoundError: "no such file",
    PermissionError: "no permission to read it",
    IsADirectoryError: "not a regular file",
    UnidentifiedImageError: "not an image of a known kind",
}
# By the first bytes of a file: what it is, and what to do.
OTHERS = {
    rb"\Z": "an empty file",
    rb"version https://(git-lfs|hawser)\.": "a Git LFS pointer, not the image: run git lfs pull",
    rb"\s*<(!doctype html|html)": "a web page, not the image: get it again",
    rb"PK\x03\x04.{26}[^\0]{1,90}\.npy": (
        "many images in one file: python -m malaria unpack FILE.npz --out FOLDER makes files of "
        "them"
    ),
    rb"\x93NUMPY": "a NumPy array: save its images as PNG",
    rb"%PDF-": "a PDF: save its images as PNG",
    rb"8BPS": "a file of Photoshop: save it as PNG",
    rb".{4}ftypavi[fs]": "an AVIF image: save it as PNG or JPEG",
    rb"\xff\n|\0\0\0\x0cJXL ": "a JPEG XL image: save it as PNG or JPEG",
    rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51": "a JPEG 2000 image: save it as PNG or JPEG",
}


def refuse_other(beginning: bytes) -> None:
    """Raise UnreadableImageError for a file that begins as one of OTHERS."""
    for start, what in OTHERS.items():
        if re.match(start, beginning, re.DOTALL | re.IGNORECASE):
            raise UnreadableImageError(what)


def reason_of(error: Exception) -> str:
    """Why an image cannot be opened, from what a decoder or the system has raised."""
    if known := [reason for kind, reason in ERRORS.items() if isinstance(error, kind)]:
        return known[0]
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read: {error.strerror}"
    return f"damaged: {error}".replace("\n", " ")
