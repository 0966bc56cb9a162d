"""remote_folders: list folders on other machines as folders.py lists those of this one."""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import islice
from operator import attrgetter
from urllib.parse import urldefrag, urljoin

from malaria.base.errors import UserError
from malaria.base.text import printable
from malaria.pictures.limits import UnreadableImageError, is_hidden, is_image_name, kind_of
from malaria.pictures.remote import request, translate_errors, wait
from malaria.pictures.remote_files import read_remote
from malaria.pictures.remote_path import RemotePath

# For the names of one folder, however many requests they take: a million take 100 s of Amazon.
FOLDER_SECONDS = 600
# Of an index page, and of all pages below a folder: some link to folders without end.
MAX_PAGE_BYTES, MAX_LINKS = 50_000_000, 300_000
MAX_FOLDERS, MAX_DEPTH = 10_000, 30
# Without < and of bounded length, so that no page takes long to search.
LINK = re.compile(r"<a\s[^<>]{0,1000}?href\s*=\s*[\"']?([^\"'<>]{1,2000})", re.IGNORECASE)


def list_remote(
    folder: RemotePath, skipped: Counter[str]
) -> tuple[list[RemotePath], list[RemotePath]]:
    """The sorted images, told by their ending alone, and folders in `folder`. Raises UserError."""
    files: list[RemotePath] = []
    folders: list[RemotePath] = []
    try:
        for path, is_folder in _list_page(folder) if folder.is_web else _list_store(folder):
            if is_hidden(path.name) or not (is_folder or is_image_name(path.name)):
                skipped[kind_of(path.name)] += 1
            else:
                (folders if is_folder else files).append(path)
    except UnreadableImageError as error:
        raise UserError(f"cannot list the folder {printable(folder)}: {error}") from error
    return sorted(files, key=attrgetter("name")), sorted(folders, key=attrgetter("name"))


def check_tree(top: RemotePath, here: RemotePath, count: int) -> None:
    """Raise UserError where the folders below `top` of a page, `here` among them, have no end.

    count: of those that are known. A store has as many as it has; a page may be made up.
    """
    depth = len(here.parts) - len(top.parts)
    if top.is_web and (count > MAX_FOLDERS or depth > MAX_DEPTH):
        raise UserError(
            f"{printable(top)}: expected at most {MAX_FOLDERS:,} folders below it, and at most "
            f"{MAX_DEPTH} deep; found more: name its folders, or a list of its images"
        )


@cache
def is_remote_folder(path: RemotePath) -> bool:
    """Whether this is a folder, of http by the slash at its end. Raises UserError."""
    if path.place.endswith("/") or not path.name:
        return True
    if path.is_web or is_image_name(path.name):
        return False
    try:
        with translate_errors():
            return bool(wait(request(path, "_isdir")))
    except UnreadableImageError as error:
        raise UserError(f"cannot read {printable(path)}: {error}") from error


def _list_store(folder: RemotePath) -> Iterator[tuple[RemotePath, bool]]:
    """What lies in `folder`, and whether each is a folder. Raises UnreadableImageError."""
    with translate_errors():
        entries = wait(request(folder, "_ls", detail=True), FOLDER_SECONDS)
    for entry in entries:
        path = f"{folder.scheme}://{entry['name'].strip('/')}"
        # A store may name the folder itself, an empty file that stands for it.
        if path != folder.place.rstrip("/"):
            yield RemotePath(path), entry["type"] == "directory"


def _list_page(folder: RemotePath) -> Iterator[tuple[RemotePath, bool]]:
    """As _list_store, of what a page has links to and lies in it: http has no other list."""
    from html import unescape  # a millisecond that images of this machine need not pay

    base = folder.place.rstrip("/") + "/"
    with read_remote(folder, MAX_PAGE_BYTES) as file:
        page = file.read().decode("utf-8", "replace")
    links = [found[1] for found in islice(LINK.finditer(page), MAX_LINKS + 1)]
    if len(links) > MAX_LINKS:
        raise UnreadableImageError(f"more than the {MAX_LINKS:,} links allowed")
    urls = {urldefrag(urljoin(base, unescape(link.strip()))).url for link in links}
    for path in map(RemotePath, urls):
        # A link with a question mark sorts the page another way.
        if path.url == path.place and path.parts[:-1] == folder.parts:
            yield path, path.place.endswith("/")
