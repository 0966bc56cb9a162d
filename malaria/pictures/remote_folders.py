"""remote_folders: list folders on other machines as folders.py lists those of this one."""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from html import unescape
from urllib.parse import urldefrag, urljoin

from malaria.base.errors import UserError
from malaria.base.text import printable
from malaria.pictures.folders import HIDDEN, ending_of, is_hidden, is_image_name
from malaria.pictures.limits import UnreadableImageError
from malaria.pictures.remote import FILE_SECONDS, call, read_remote
from malaria.pictures.remote_errors import told_why
from malaria.pictures.remote_path import RemotePath

# For the names of one folder, however many requests they take: a million take 100 s of Amazon.
FOLDER_SECONDS = 600
# Of an index page with a million links.
MAX_PAGE_BYTES = 100_000_000
# Without < and of bounded length, so that no page takes long to search.
LINK = re.compile(r"<a\s[^<>]{0,1000}?href\s*=\s*[\"']?([^\"'<>]{1,2000})", re.IGNORECASE)


def find_remote_images(folder: RemotePath, skipped: Counter[str]) -> Iterator[RemotePath]:
    """As folders.find_images, but that a picture is told by its ending alone."""
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        try:
            files, folders = _sort_out(here, skipped)
        except UnreadableImageError as error:
            if here == folder:
                raise UserError(f"cannot list the folder {printable(folder)}: {error}") from error
            yield here
            continue
        yield from files
        waiting += reversed(folders)


def _sort_out(
    folder: RemotePath, skipped: Counter[str]
) -> tuple[list[RemotePath], list[RemotePath]]:
    """The sorted pictures in `folder` and the folders in it. Raises UnreadableImageError."""
    files, folders = [], []
    for path, is_folder in _list(folder):
        if is_hidden(path.name):
            skipped[HIDDEN] += 1
        elif is_folder:
            folders.append(path)
        elif is_image_name(path.name):
            files.append(path)
        else:
            skipped[ending_of(path.name)] += 1
    return sorted(files, key=_name_of), sorted(folders, key=_name_of)


def _name_of(path: RemotePath) -> str:
    return path.name


def remote_sub_folders(folder: RemotePath) -> list[str]:
    """As folders.sub_folders. Raises UserError."""
    try:
        _, folders = _sort_out(folder, Counter())
    except UnreadableImageError as error:
        raise UserError(f"cannot list the folder {printable(folder)}: {error}") from error
    return [one.name for one in folders]


def remote_siblings(path: RemotePath) -> list[RemotePath]:
    """The pictures in the folder of `path`, sorted; itself where that cannot be listed."""
    try:
        return _sort_out(path.parent, Counter())[0]
    except UnreadableImageError:
        return [path]


@cache
def is_remote_folder(path: RemotePath) -> bool:
    """Whether this is a folder, of http by the slash at its end. Raises UserError."""
    if path.place.endswith("/") or not path.name:
        return True
    if path.is_web or is_image_name(path.name):
        return False
    try:
        with told_why():
            return bool(call("isdir", path, FILE_SECONDS))
    except UnreadableImageError as error:
        raise UserError(f"cannot read {printable(path)}: {error}") from error


def _list(folder: RemotePath) -> Iterator[tuple[RemotePath, bool]]:
    """What lies in `folder`, and whether each is a folder. Raises UnreadableImageError."""
    return _list_page(folder) if folder.is_web else _list_store(folder)


def _list_store(folder: RemotePath) -> Iterator[tuple[RemotePath, bool]]:
    with told_why():
        entries = call("ls", folder, FOLDER_SECONDS, detail=True)
    for entry in entries:
        path = f"{folder.scheme}://{entry['name'].strip('/')}"
        # A store may name the folder itself, an empty file that stands for it.
        if path != folder.place.rstrip("/"):
            yield RemotePath(path), entry["type"] == "directory"


def _list_page(folder: RemotePath) -> Iterator[tuple[RemotePath, bool]]:
    """What the page of a folder has links to and lies directly in it: http has no other list."""
    base = folder.place.rstrip("/") + "/"
    page = read_remote(folder, MAX_PAGE_BYTES).read().decode("utf-8", "replace")
    urls = {urldefrag(urljoin(base, unescape(link.strip()))).url for link in LINK.findall(page)}
    for path in map(RemotePath, urls):
        # A link with a question mark sorts the page another way.
        if path.url == path.place and path.parts[:-1] == folder.parts:
            yield path, path.place.endswith("/")
