"""remote_files: fetch a file of another machine, within bounds of memory, bytes and time."""

from collections.abc import Generator, Iterator
from concurrent.futures import TimeoutError as WaitedTooLong
from contextlib import ExitStack, closing, contextmanager
from io import BufferedReader, BytesIO, RawIOBase
from itertools import chain, count
from tempfile import TemporaryFile
from threading import BoundedSemaphore, Lock
from time import monotonic
from typing import Any, BinaryIO

from malaria.base.machine import worker_count
from malaria.pictures.limits import MAX_FILE_BYTES, UnreadableImageError
from malaria.pictures.remote import (
    CONNECT_SECONDS,
    WEB_SECONDS,
    begin,
    request,
    translate_errors,
    wait,
)
from malaria.pictures.remote_path import RemotePath

# Asked for at once. A file as large as this goes to the disk, so many at a time.
PART_BYTES, LARGE = 2_000_000, 4
# Smaller ones are kept: a report shows what was classified about 200 images before.
KEPT_FILES, KEPT_BYTES = 1000, 64_000_000

_keeping, _large = Lock(), BoundedSemaphore(LARGE)
# More threads wait for images than may decode them, for each decoded one may take 200 MB.
_decoding = BoundedSemaphore(worker_count())
_kept: dict[RemotePath, bytes] = {}

# Of PART_BYTES each, but for the last, which is shorter.
Parts = Generator[bytes, None, None]


@contextmanager
def open_remote(path: RemotePath) -> Iterator[BinaryIO]:
    """A file, to be decoded inside the block. Raises UnreadableImageError, UserError."""
    with ExitStack() as held:
        if (known := _kept.get(path)) is not None:
            file: BinaryIO = BytesIO(known)
        else:
            file = held.enter_context(_fetch(path, MAX_FILE_BYTES, held))
            _keep(path, file)
        held.enter_context(_decoding)
        yield file


def read_remote(path: RemotePath, limit: int = MAX_FILE_BYTES) -> BinaryIO:
    """As open_remote, but it waits for no other file, and whoever reads the file closes it."""
    known = _kept.get(path)
    return _fetch(path, limit) if known is None else BytesIO(known)


def _keep(path: RemotePath, file: BinaryIO) -> None:
    # Not the caches of fsspec, which keep all files, on the disk.
    if isinstance(file, BytesIO):
        with _keeping:
            _kept[path] = file.getvalue()
            while len(_kept) > KEPT_FILES or sum(map(len, _kept.values())) > KEPT_BYTES:
                del _kept[next(iter(_kept))]


def _fetch(path: RemotePath, limit: int, held: ExitStack | None = None) -> BinaryIO:
    """The content, from its beginning; a large one is on the disk, for many are asked for at once.

    held: where a large file waits for its turn, and has it until this is closed.
    """
    # Not `fsspec.open`: it asks for the size first, a second request for each image, and nobody can
    # end its waiting.
    parts = _stream(path) if path.is_web else _ranges(path)
    with ExitStack() as undo:
        with translate_errors(), closing(parts):
            first = next(parts)
            is_large = len(first) == PART_BYTES
            if is_large and held:
                held.enter_context(_large)
            kind: Any = TemporaryFile if is_large else BytesIO
            file = undo.enter_context(kind())
            for part in chain([first], parts):
                if file.tell() + len(part) > limit:
                    raise UnreadableImageError(f"more than the {limit:,} bytes allowed")
                file.write(part)
            file.seek(0)
        undo.pop_all()
    return BufferedReader(_Nameless(file)) if is_large else file


class _Nameless(RawIOBase):
    """A file on the disk as if it were in memory: no decoder looks for others beside it."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        return self._file.readinto(buffer)

    def seekable(self) -> bool:
        return True

    def seek(self, *place: int) -> int:
        return self._file.seek(*place)

    def close(self) -> None:
        self._file.close()
        super().close()


def _stream(path: RemotePath) -> Parts:
    # Not in ranges: a server that knows none would send all of a file, however large, at once.
    # A size that is said need not be asked for. Nothing is: where this did not end, nor the closing
    # below, a file would be left open.
    file = begin(request(path, "open_async", size=1)).result(CONNECT_SECONDS)
    left = float(WEB_SECONDS)
    try:
        while True:
            begun = monotonic()
            part = _read_part(file, left)
            left -= monotonic() - begun
            yield part
            if len(part) < PART_BYTES:
                return
    finally:
        begin(file.close()).result(CONNECT_SECONDS)


def _read_part(file: Any, seconds: float) -> bytes:
    """At most PART_BYTES. Raises UnreadableImageError where `seconds` are over."""
    end = monotonic() + seconds
    try:
        part: bytes = wait(_read(file), seconds)
    except WaitedTooLong:
        # From Python 3.11 on it is also what aiohttp raises of a server that is silent.
        if monotonic() < end:
            raise
        raise UnreadableImageError(f"it did not end within {WEB_SECONDS} seconds") from None
    return part


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
