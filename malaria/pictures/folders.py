"""folders: list the images below a folder, sorted, a folder at a time, and count the rest."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Set
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

from malaria.base.errors import UsageError, UserError
from malaria.base.text import printable
from malaria.pictures.heic import BEGINNING as HEIC
from malaria.pictures.limits import is_hidden, is_image_name, kind_of, open_regular
from malaria.pictures.passed_over import PassedOver
from malaria.pictures.remote_folders import check_tree, is_remote_folder, list_remote
from malaria.pictures.remote_path import FilePath, RemotePath, parts_below, to_path
from malaria.pictures.same_file import file_number

# Of files with another ending or none, those that begin like this are images too. "BM" alone may
# begin a text: in bytes 14 to 17 a .bmp has the length of its second header.
SIGNATURES = re.compile(
    rb"\x89PNG\r\n|\xff\xd8\xff|GIF8[79]a|II[*+]\0|MM\0[*+]|RIFF.{4}WEBP|BM.{12}[\x0c(48@l|]\0\0\0|"
    rb".{128}DICM|" + HEIC.pattern,
    re.DOTALL,
)

T = TypeVar("T")
P = TypeVar("P", bound=FilePath)


def is_folder(path: FilePath) -> bool:
    """Raises UserError where another machine does not tell."""
    return is_remote_folder(path) if isinstance(path, RemotePath) else path.is_dir()


def find_images(folder: P, passed_over: PassedOver | None = None) -> Iterator[P]:
    """Yield the paths of all images below `folder`, folder by folder, sorted by name.

    Images are told by their ending; other files, of this machine, by their first bytes. Follows
    symbolic links, each real folder and file once. Holds the names of one folder at a time. A
    folder below that cannot be listed is yielded itself, as an image that cannot be read.
    passed_over: counts what is not taken. Raises UserError if `folder` itself cannot be listed.
    """
    passed_over = passed_over or PassedOver()
    waiting, seen, targets = [folder], set[int](), set[int]()
    while waiting:
        here = waiting.pop()
        if (number := file_number(here)) in seen:
            continue
        seen.add(number)
        try:
            files, folders, links = list_folder(here, passed_over.files)
        except UserError:
            if here == folder:
                raise
            yield here
            continue
        if links or targets:
            files = _each_once(files, links, targets, partial(_is_found, folder, seen), passed_over)
        yield from files
        waiting += reversed(folders)
        if isinstance(folder, RemotePath) and folders:
            check_tree(folder, folders[0], len(seen) + len(waiting))


def _each_once(
    files: Iterable[Any],
    links: Set[str],
    targets: set[int],
    is_found: Callable[[Path], bool],
    passed: PassedOver,
) -> Iterator[Any]:
    """The files but for links to what is found without them, and to `targets`, which grow."""
    for path in files:
        number, is_link = file_number(path), path.name in links
        if number in targets or (is_link and is_found(path)):
            passed.again += 1
            continue
        if is_link:
            targets.add(number)
        yield path


def _is_found(folder: FilePath, seen: Set[int], link: Path) -> bool:
    """Whether what the link leads to is an image below the folder, or in one that was seen."""
    target = Path(os.path.realpath(link))
    if not (target.is_file() and _is_image(target)):
        return False
    below = parts_below(target, Path(os.path.realpath(str(folder)))) or (".",)
    return not any(map(is_hidden, below)) or file_number(target.parent) in seen


def list_folder(
    folder: FilePath, skipped: Counter[str]
) -> tuple[Iterable[Any], list[Any], Set[str]]:
    """The sorted paths of the images and of the folders in `folder`; the names that are links.

    skipped: counts by its kind_of what is passed over. Raises UserError.
    """
    if isinstance(folder, RemotePath):
        return *list_remote(folder, skipped), frozenset()
    files, folders, links = [], [], set()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not is_hidden(entry.name) and _is_folder(entry):
                    folders.append(entry.name)
                elif _is_image(entry):
                    files.append(entry.name)
                    if entry.is_symlink():
                        links.add(entry.name)
                else:
                    skipped[kind_of(entry.name)] += 1
    except OSError as error:
        raise UserError(f"cannot list the folder {folder}: {error.strerror}") from None
    # Of a million images there are the names, and not yet the paths.
    return map(folder.joinpath, sorted(files)), [folder / name for name in sorted(folders)], links


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, for example: as a file it becomes one unreadable image
        return False


def _is_image(file: os.DirEntry[str] | Path) -> bool:
    if is_hidden(file.name):
        return False
    return is_image_name(file.name) or _begins_like_an_image(Path(file))


def _begins_like_an_image(path: Path) -> bool:
    try:
        with open_regular(path) as file:
            return SIGNATURES.match(file.read(132)) is not None
    except (OSError, UserError):
        return False


def not_empty(images: Iterator[T], problem: str) -> Iterator[T]:
    """The same images. Raises UserError, which says the problem, at once if there are none."""
    first = list(islice(images, 1))
    if not first:
        raise UserError(problem)
    return chain(first, images)


def check_outside(folder: Path, sources: Iterable[FilePath], option: str) -> None:
    """Raise UsageError if `folder` lies in a source: the next run would find what is in it."""
    for source in sources:
        if isinstance(source, Path) and folder.resolve().is_relative_to(source.resolve()):
            raise UsageError(f"{option}: expected a folder outside of {printable(source)}")


def sub_folders(folder: FilePath | str) -> list[str]:
    """The sorted names of the folders in `folder`, but for hidden ones. Raises UserError."""
    return [path.name for path in list_folder(to_path(folder), Counter())[1]]
