"""folders: list the images below a folder, sorted, a folder at a time, and count the rest."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

from malaria.base.errors import UsageError, UserError
from malaria.base.text import printable
from malaria.pictures.limits import is_hidden, is_image_name, kind_of, open_regular
from malaria.pictures.remote_folders import check_tree, is_remote_folder, list_remote
from malaria.pictures.remote_path import AnyPath, RemotePath, real_name, to_path

# Of files with another ending or none, those that begin like this are images too. "BM" alone may
# begin a text: in bytes 14 to 17 a .bmp has the length of its second header.
SIGNATURES = re.compile(
    rb"\x89PNG\r\n|\xff\xd8\xff|GIF8[79]a|II[*+]\0|MM\0[*+]|RIFF.{4}WEBP|BM.{12}[\x0c(48@l|]\0\0\0",
    re.DOTALL,
)

T = TypeVar("T")
P = TypeVar("P", bound=AnyPath)


def is_folder(path: AnyPath) -> bool:
    """Raises UserError where another machine does not tell."""
    return is_remote_folder(path) if isinstance(path, RemotePath) else path.is_dir()


def find_images(folder: P, skipped: Counter[str] | None = None) -> Iterator[P]:
    """Yield the paths of all images below `folder`, folder by folder, sorted by name.

    Images are told by their ending; other files, of this machine, by their first bytes. Follows
    symbolic links, each real folder once. Holds the names of one folder at a time. A folder below
    that cannot be listed is yielded itself, as an image that cannot be read. skipped: counts what
    is passed over. Raises UserError if `folder` itself cannot be listed.
    """
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
        if isinstance(folder, RemotePath) and folders:
            check_tree(folder, folders[0], len(seen) + len(waiting))


def list_folder(folder: AnyPath, skipped: Counter[str]) -> tuple[Iterable[Any], list[Any]]:
    """The sorted paths of the images, and of the folders, in `folder`. Raises UserError.

    skipped: counts by its kind_of what is passed over.
    """
    if isinstance(folder, RemotePath):
        return list_remote(folder, skipped)
    files, folders = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                is_seen = not is_hidden(entry.name)
                if is_seen and _is_folder(entry):
                    folders.append(entry.name)
                elif is_seen and (is_image_name(entry.name) or _begins_like_an_image(entry)):
                    files.append(entry.name)
                else:
                    skipped[kind_of(entry.name)] += 1
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
            return SIGNATURES.match(file.read(18)) is not None
    except (OSError, UserError):
        return False


def not_empty(images: Iterator[T], problem: str) -> Iterator[T]:
    """The same images. Raises UserError, which says the problem, at once if there are none."""
    first = list(islice(images, 1))
    if not first:
        raise UserError(problem)
    return chain(first, images)


def describe_skipped(skipped: Counter[str]) -> str:
    """The counts in one line for people."""
    parts = (f"{count:,} {printable(kind)}" for kind, count in skipped.most_common(10))
    more = ", ..." if len(skipped) > 10 else ""
    return f"passed over, not images: {', '.join(parts)}{more}"


def check_outside(folder: Path, sources: Iterable[AnyPath], option: str) -> None:
    """Raise UsageError if `folder` lies in a source: the next run would find what is in it."""
    for source in sources:
        if isinstance(source, Path) and folder.resolve().is_relative_to(source.resolve()):
            raise UsageError(f"{option}: expected a folder outside of {printable(source)}")


def sub_folders(folder: AnyPath | str) -> list[str]:
    """The sorted names of the folders in `folder`, but for hidden ones. Raises UserError."""
    return [path.name for path in list_folder(to_path(folder), Counter())[1]]
