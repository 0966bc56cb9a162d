"""remote_files: fetch a file of another machine into memory, within bounds of bytes and time."""

from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from io import BytesIO
from itertools import count
from threading import BoundedSemaphore, Lock
from typing import Any, BinaryIO

from malaria.base.machine import worker_count
from malaria.pictures.limits import MAX_FILE_BYTES, UnreadableImageError
from malaria.pictures.remote import CONNECT_SECONDS, begin, request, translate_errors, wait
from malaria.pictures.remote_path import RemotePath

# Asked for at once. Files as large as this are held in memory one at a time.
PART_BYTES = 16_000_000
# Smaller ones are kept: a report shows what was classified about 200 images before.
KEPT_FILES, KEPT_BYTES = 1000, 64_000_000

_keeping, _large = Lock(), Lock()
# More threads wait for images than may decode them, for each decoded one may take 200 MB.
_decoding = BoundedSemaphore(worker_count())
_kept: dict[RemotePath, bytes] = {}

# Of PART_BYTES each, but for the last, which is shorter.
Parts = Generator[bytes, None, None]


@contextmanager
def open_remote(path: RemotePath) -> Iterator[BinaryIO]:
    """A file in memory, to be decoded inside the block. Raises UnreadableImageError, UserError."""
    with ExitStack() as held:
        content = _kept.get(path)
        if content is None:
            content = _fetch(path, MAX_FILE_BYTES, held)
            _keep(path, content)
        held.enter_context(_decoding)
        yield BytesIO(content)


def read_remote(path: RemotePath, limit: int = MAX_FILE_BYTES) -> BytesIO:
    """As open_remote, but waits for no other file."""
    return BytesIO(_kept.get(path) or _fetch(path, limit))


def _keep(path: RemotePath, content: bytes) -> None:
    # Not the caches of fsspec, which keep all files, on the disk.
    if len(content) < PART_BYTES:
        with _keeping:
            _kept[path] = content
            while len(_kept) > KEPT_FILES or sum(map(len, _kept.values())) > KEPT_BYTES:
                del _kept[next(iter(_kept))]


def _fetch(path: RemotePath, limit: int, held: ExitStack | None = None) -> bytes:
    """The content. held: where a large file waits for its turn, and has it until this is closed."""
    content = BytesIO()
    # Not `fsspec.open`: it asks for the size first, a second request for each image, and nobody can
    # end its waiting.
    parts = _stream(path) if path.is_web else _ranges(path)
    with translate_errors(), closing(parts):
        for part in parts:
            if content.tell() + len(part) > limit:
                raise UnreadableImageError(f"more than the {limit:,} bytes allowed")
            content.write(part)
            if held and content.tell() == PART_BYTES:
                held.enter_context(_large)
    return content.getvalue()


def _stream(path: RemotePath) -> Parts:
    # Not in ranges: a server that knows none would send all of a file, however large, at once.
    # A size that is said need not be asked for. Nothing is: where this did not end, nor the closing
    # below, a file would be left open.
    file = begin(request(path, "open_async", size=1)).result(CONNECT_SECONDS)
    try:
        while len(part := wait(_read(file))) == PART_BYTES:
            yield part
        yield part
    finally:
        begin(file.close()).result(CONNECT_SECONDS)


async def _read(file: Any) -> bytes:
    part = BytesIO()
    while part.tell() < PART_BYTES and (more := await file.read(PART_BYTES - part.tell())):
        part.write(more)
    return part.getvalue()


def _ranges(path: RemotePath) -> Parts:
    for start in count(0, PART_BYTES):
        try:
            part = wait(request(path, "_cat_file", start=start, end=start + PART_BYTES))
        except Exception as error:
            # "Range not satisfiable": it begins where the file ends.
            if "satisf" not in str(error):
                raise
            part = b""
        yield part
        if len(part) < PART_BYTES:
            return
