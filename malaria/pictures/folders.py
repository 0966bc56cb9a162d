"""folders: list the images below a folder, sorted, a folder at a time, and count the rest."""

import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from malaria.base.errors import UsageError, UserError
from malaria.base.text import printable
from malaria.pictures.remote_path import AnyPath, RemotePath, parts_below

SUFFIXES = (*(".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".tif", ".tiff", ".webp", ".gif"),)
# The same for people.
KINDS = f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
# Of files with another ending or none, those that begin like this are pictures too.
SIGNATURES = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")
RIFF, WEBP, BMP = b"RIFF", b"WEBP", b"BM"
# The length of the second header of a .bmp, bytes 14 to 17; "BM" alone may begin a text.
BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)
# What macOS and Windows put into archives and folders beside the files.
NOT_THERE = ("__MACOSX",)
HIDDEN, NO_ENDING = "hidden", "no ending"


def is_image_name(name: str) -> bool:
    """Whether the ending of `name`, in any case, is that of a picture."""
    return name.lower().endswith(SUFFIXES)


def is_hidden(name: str) -> bool:
    """Whether a name is passed over, such as ._a.png or .ipynb_checkpoints."""
    return name.startswith(".") or name in NOT_THERE


def ending_of(name: str) -> str:
    """What a file that is passed over is counted as."""
    return os.path.splitext(name)[1].lower()[:20] or NO_ENDING


def is_folder(path: AnyPath) -> bool:
    """Whether there is a folder of this name, here or on another machine. Raises UserError."""
    if isinstance(path, RemotePath):
        from malaria.pictures.remote_folders import is_remote_folder

        return is_remote_folder(path)
    return path.is_dir()


def find_anywhere(folder: AnyPath, skipped: Counter[str] | None = None) -> Iterator[AnyPath]:
    """As find_images, of a folder on another machine too."""
    if isinstance(folder, RemotePath):
        from malaria.pictures.remote_folders import find_remote_images

        return find_remote_images(folder, Counter() if skipped is None else skipped)
    return find_images(folder, skipped)


def find_images(folder: Path | str, skipped: Counter[str] | None = None) -> Iterator[Path]:
    """Yield the paths of all pictures below `folder`, folder by folder, sorted by name.

    Pictures are told by their ending, other files by their first bytes. Hidden names are passed
    over. Follows symbolic links, each real folder once. Holds the names of one folder at a time. A
    folder below that cannot be listed is yielded itself, as a picture that cannot be read.

    skipped: counts by ending, and as HIDDEN, what is passed over. Raises UserError if `folder`
    itself cannot be listed.
    """
    folder = Path(folder)
    skipped = Counter() if skipped is None else skipped
    waiting, seen = [folder], set()
    while waiting:
        here = waiting.pop()
        # A path too long for the system has no real path.
        if (real := os.path.realpath(here)) in seen:
            continue
        seen.add(real)
        try:
            files, folders = _list(here, skipped)
        except OSError as error:
            if here == folder:
                raise UserError(f"cannot list the folder {folder}: {error.strerror}") from None
            yield here
            continue
        for name in files:
            yield here / name
        waiting += [here / name for name in reversed(folders)]


def describe_skipped(skipped: Counter[str]) -> str:
    """The counts in one line for people."""
    parts = (f"{count:,} {printable(kind)}" for kind, count in skipped.most_common(10))
    more = ", ..." if len(skipped) > 10 else ""
    return f"passed over, not pictures: {', '.join(parts)}{more}"


def check_outside(folder: Path, sources: Iterable[AnyPath], option: str) -> None:
    """Raise UsageError, which names the option, if `folder` lies in one of the sources.

    Otherwise the next run would find what was written there among the pictures.
    """
    for source in sources:
        if isinstance(source, Path) and folder.resolve().is_relative_to(source.resolve()):
            raise UsageError(f"{option}: expected a folder outside of {printable(source)}")


def place_below(path: AnyPath, source: AnyPath) -> Path:
    """The folders between `source` and the picture `path` in it, none of which leads upwards.

    Empty where the source is the picture itself, or another folder.
    """
    parents = (parts_below(path, source) or ())[:-1]
    return Path(*(part for part in parents if part != ".."))


def source_of(path: AnyPath, sources: Iterable[AnyPath]) -> AnyPath:
    """The one of the sources that the picture lies in, or the picture itself."""
    return next((one for one in sources if parts_below(path, one) is not None), path)


def sub_folders(folder: AnyPath | str) -> list[str]:
    """The sorted names of the folders in `folder`, but for hidden ones."""
    if isinstance(folder, RemotePath):
        from malaria.pictures.remote_folders import remote_sub_folders

        return remote_sub_folders(folder)
    entries = (entry for entry in Path(folder).iterdir() if not is_hidden(entry.name))
    return sorted(entry.name for entry in entries if entry.is_dir())


def _list(folder: Path, skipped: Counter[str]) -> tuple[list[str], list[str]]:
    """The sorted names of the pictures in `folder` and of the folders in it. Raises OSError."""
    files, folders = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_hidden(entry.name):
                skipped[HIDDEN] += 1
            elif _is_folder(entry):
                folders.append(entry.name)
            elif is_image_name(entry.name) or _begins_like_an_image(entry):
                files.append(entry.name)
            else:
                skipped[ending_of(entry.name)] += 1
    return sorted(files), sorted(folders)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, for example: as a file it becomes one unreadable picture
        return False


def _begins_like_an_image(entry: os.DirEntry[str]) -> bool:
    try:
        # A pipe would be waited on for ever.
        if not stat.S_ISREG(entry.stat().st_mode):
            return False
        with open(entry.path, "rb") as file:
            start = file.read(18)
    except OSError:
        return False
    is_bmp = start[:2] == BMP and int.from_bytes(start[14:18], "little") in BMP_HEADERS
    return start.startswith(SIGNATURES) or is_bmp or (start[:4], start[8:12]) == (RIFF, WEBP)
