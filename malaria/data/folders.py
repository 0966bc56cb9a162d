"""folders: list the image files below a folder, sorted, a folder at a time."""

import os
from collections.abc import Iterator
from pathlib import Path

from malaria.base.errors import UserError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
# The same for people.
KINDS = f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"


def is_image_name(name: str) -> bool:
    """Whether the ending of `name`, in any case, is that of a picture."""
    return name.lower().endswith(SUFFIXES)


def find_images(folder: Path | str) -> Iterator[Path]:
    """Yield the paths of all pictures below `folder`, folder by folder, sorted by name.

    Follows symbolic links, each real folder once. Holds the names of one folder at a time.
    Raises UserError if a folder cannot be listed.
    """
    yield from _walk(Path(folder), seen=set())


def sub_folders(folder: Path | str) -> list[str]:
    """The sorted names of the folders in `folder`."""
    return sorted(entry.name for entry in Path(folder).iterdir() if entry.is_dir())


def _walk(folder: Path, seen: set[str]) -> Iterator[Path]:
    real = os.path.realpath(folder)
    if real in seen:
        return
    seen.add(real)
    files, folders = _list(folder)
    for name in files:
        yield folder / name
    for name in folders:
        yield from _walk(folder / name, seen)


def _list(folder: Path) -> tuple[list[str], list[str]]:
    """The sorted names of the pictures in `folder` and of the folders in it."""
    files, folders = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if _is_folder(entry):
                    folders.append(entry.name)
                elif is_image_name(entry.name):
                    files.append(entry.name)
    except OSError as error:
        raise UserError(f"cannot list the folder {folder}: {error.strerror}") from None
    return sorted(files), sorted(folders)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, for example: as a file it becomes one unreadable picture
        return False
