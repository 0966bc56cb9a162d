"""folders: list the images below a folder, sorted, a folder at a time, and count the rest."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from malaria.base.errors import UsageError, UserError
from malaria.base.text import printable
from malaria.pictures.limits import open_regular
from malaria.pictures.names import HIDDEN, ending_of, is_hidden, is_image_name
from malaria.pictures.remote_folders import is_remote_folder, list_remote
from malaria.pictures.remote_path import AnyPath, RemotePath, parts_below, real_name

# Of files with another ending or none, those that begin like this are images too.
SIGNATURES = (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")
RIFF, WEBP, BMP = b"RIFF", b"WEBP", b"BM"
# The length of the second header of a .bmp, bytes 14 to 17; "BM" alone may begin a text.
BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)

P = TypeVar("P", Path, RemotePath)


def is_folder(path: AnyPath) -> bool:
    """Whether there is a folder of this name, here or on another machine. Raises UserError."""
    return is_remote_folder(path) if isinstance(path, RemotePath) else path.is_dir()


def find_anywhere(folder: AnyPath, skipped: Counter[str] | None = None) -> Iterator[AnyPath]:
    """As find_images, of a folder on another machine too."""
    if isinstance(folder, RemotePath):
        return _walk(folder, list_remote, skipped)
    return find_images(folder, skipped)


def find_images(folder: Path | str, skipped: Counter[str] | None = None) -> Iterator[Path]:
    """Yield the paths of all images below `folder`, folder by folder, sorted by name.

    Images are told by their ending, other files by their first bytes. Hidden names are passed
    over. Follows symbolic links, each real folder once. Holds the names of one folder at a time. A
    folder below that cannot be listed is yielded itself, as an image that cannot be read.

    skipped: counts by ending, and as HIDDEN, what is passed over. Raises UserError if `folder`
    itself cannot be listed.
    """
    return _walk(Path(folder), _list, skipped)


def _walk(
    folder: P,
    list_folder: Callable[[P, Counter[str]], tuple[Iterable[P], list[P]]],
    skipped: Counter[str] | None,
) -> Iterator[P]:
    skipped = Counter() if skipped is None else skipped
    waiting, seen = [folder], set()
    while waiting:
        here = waiting.pop()
        if (real := real_name(here)) in seen:
            continue
        seen.add(real)
        try:
            files, folders = list_folder(here, skipped)
        except UserError:
            if here == folder:
                raise
            yield here
            continue
        yield from files
        waiting += reversed(folders)


def describe_skipped(skipped: Counter[str]) -> str:
    """The counts in one line for people."""
    parts = (f"{count:,} {printable(kind)}" for kind, count in skipped.most_common(10))
    more = ", ..." if len(skipped) > 10 else ""
    return f"passed over, not pictures: {', '.join(parts)}{more}"


def check_outside(folder: Path, sources: Iterable[AnyPath], option: str) -> None:
    """Raise UsageError, which names the option, if `folder` lies in one of the sources.

    Otherwise the next run would find what was written there among the images.
    """
    for source in sources:
        if isinstance(source, Path) and folder.resolve().is_relative_to(source.resolve()):
            raise UsageError(f"{option}: expected a folder outside of {printable(source)}")


def place_below(path: AnyPath, source: AnyPath) -> Path:
    """The folders between `source` and the image `path` in it, none of which leads upwards.

    Empty where the source is the image itself, or another folder.
    """
    parents = (parts_below(path, source) or ())[:-1]
    return Path(*(part for part in parents if part != ".."))


def source_of(path: AnyPath, sources: Iterable[AnyPath]) -> AnyPath:
    """The one of the sources that the image lies in, or the image itself."""
    return next((one for one in sources if parts_below(path, one) is not None), path)


def sub_folders(folder: AnyPath | str) -> list[str]:
    """The sorted names of the folders in `folder`, but for hidden ones."""
    if isinstance(folder, RemotePath):
        return [path.name for path in list_remote(folder, Counter())[1]]
    entries = (entry for entry in Path(folder).iterdir() if not is_hidden(entry.name))
    return sorted(entry.name for entry in entries if entry.is_dir())


def _list(folder: Path, skipped: Counter[str]) -> tuple[Iterable[Path], list[Path]]:
    """The sorted images in `folder`, and the folders in it. Raises UserError."""
    files, folders = [], []
    try:
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
    except OSError as error:
        raise UserError(f"cannot list the folder {folder}: {error.strerror}") from None
    # Of a million images there are the names, and not yet the paths.
    return map(folder.joinpath, sorted(files)), [folder / name for name in sorted(folders)]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, for example: as a file it becomes one unreadable image
        return False


def _begins_like_an_image(entry: os.DirEntry[str]) -> bool:
    try:
        with open_regular(Path(entry.path)) as file:
            start = file.read(18)
    except (OSError, UserError):
        return False
    is_bmp = start[:2] == BMP and int.from_bytes(start[14:18], "little") in BMP_HEADERS
    return start.startswith(SIGNATURES) or is_bmp or (start[:4], start[8:12]) == (RIFF, WEBP)
