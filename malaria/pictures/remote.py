"""remote: files on other machines, through fsspec.

The only file that knows fsspec, which is imported where a remote name is used.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from functools import cache
from io import SEEK_END, BytesIO
from threading import BoundedSemaphore, Lock
from typing import Any, BinaryIO

from malaria.base.errors import UserError
from malaria.base.machine import worker_count
from malaria.pictures.limits import MAX_FILE_BYTES, UnreadableImageError
from malaria.pictures.recent import Recent
from malaria.pictures.remote_errors import told_why
from malaria.pictures.remote_path import SCHEMES, RemotePath

# Of http: for a connection, for the next bytes, and for a picture that waits for others too.
CONNECT_SECONDS, SILENT_SECONDS, TOTAL_SECONDS = 10, 30, 600
# For a file, or for each part of a large one.
FILE_SECONDS = 120
# The parts. Files larger than this are held in memory one at a time.
SMALL_BYTES = 16_000_000

# They tell of each failure on stderr, with a traceback; what matters is raised.
LOGGERS = ("fsspec", "gcsfs", "s3fs")

_opening, _large = Lock(), Lock()
# More threads wait for pictures than may decode them, for each decoded one may take 200 MB.
_decoding = BoundedSemaphore(worker_count())
_recent = Recent()
_waiting: set[Future[Any]] = set()

# Gives up to so many bytes, fewer only at the end of a file.
Read = Callable[[int], bytes]


@contextmanager
def open_remote(path: RemotePath) -> Iterator[BinaryIO]:
    """A file in memory, to be decoded inside the block. Raises UnreadableImageError, UserError."""
    with ExitStack() as held:
        file = BytesIO(known) if (known := _recent.get(path)) is not None else _fetch(path, held)
        held.enter_context(_decoding)
        yield file


def _fetch(path: RemotePath, held: ExitStack) -> BytesIO:
    """The file; a large one while nobody else holds one."""
    with told_why(), _reading(path) as read:
        file = BytesIO(content := read(SMALL_BYTES))
        if len(content) < SMALL_BYTES:
            _recent.keep(path, content)
            return file
        held.enter_context(_large)
        return _read_on(file, read, MAX_FILE_BYTES)


def read_remote(path: RemotePath, limit: int = MAX_FILE_BYTES) -> BytesIO:
    """The file, for which nothing is waited but the network. Raises as open_remote."""
    if (known := _recent.get(path)) is not None:
        return BytesIO(known)
    with told_why(), _reading(path) as read:
        return _read_on(BytesIO(), read, limit)


def _read_on(file: BytesIO, read: Read, limit: int) -> BytesIO:
    """The file with the rest of it, at its beginning. Raises UnreadableImageError above `limit`."""
    file.seek(0, SEEK_END)
    while part := read(SMALL_BYTES):
        if file.tell() + len(part) > limit:
            raise UnreadableImageError(f"more than the {limit:,} bytes allowed")
        file.write(part)
        if len(part) < SMALL_BYTES:
            break
    file.seek(0)
    return file


@contextmanager
def _reading(path: RemotePath) -> Iterator[Read]:
    """What reads on in a file, fetched once."""
    files = filesystem(path.scheme)
    if not path.is_web:
        yield _Ranges(path).read
        return
    # A size that is said need not be asked for.
    file = _soon(files, files.open_async(path.url, size=1))
    try:
        yield lambda count: _wait(files, _read_stream(file, count), FILE_SECONDS)
    finally:
        _soon(files, file.close())


async def _read_stream(file: Any, count: int) -> bytes:
    content = BytesIO()
    while count and (part := await file.read(count)):
        count -= content.write(part)
    return content.getvalue()


class _Ranges:
    """Reads on in a file of a store, a request for each part."""

    def __init__(self, path: RemotePath) -> None:
        self.path, self.place = path, 0

    def read(self, count: int) -> bytes:
        """Up to `count` bytes from where it is."""
        # A range that begins at the end of the file is an error: the last byte known is in it.
        start = max(self.place - 1, 0)
        known, end = self.place - start, self.place + count
        try:
            part: bytes = call("cat_file", self.path, FILE_SECONDS, start=start, end=end)
        except Exception as error:
            if self.place == 0 and "satisfiable" in str(error):  # it is empty
                return b""
            raise
        self.place += len(part) - known
        return part[known:]


def call(name: str, path: RemotePath, seconds: float, **arguments: Any) -> Any:
    """What a method of fsspec returns; it may take so long. Raises what that raises."""
    files = filesystem(path.scheme)
    if not files.async_impl:
        return getattr(files, name)(path.url, **arguments)
    return _wait(files, getattr(files, f"_{name}")(path.url, **arguments), seconds)


def _wait(files: Any, work: Coroutine[Any, Any, Any], seconds: float) -> Any:
    """What `work` returns, done by the thread of fsspec. Raises TimeoutError."""
    answer = asyncio.run_coroutine_threadsafe(work, files.loop)
    _waiting.add(answer)
    try:
        return answer.result(seconds)
    finally:
        _waiting.discard(answer)
        answer.cancel()


def _soon(files: Any, work: Coroutine[Any, Any, Any]) -> Any:
    """As _wait, of what asks nothing of the network; `hang_up` would leave a file open here."""
    return asyncio.run_coroutine_threadsafe(work, files.loop).result(CONNECT_SECONDS)


def hang_up() -> None:
    """Wait for no answer any more: who presses Ctrl-C need not wait either."""
    for answer in _waiting.copy():
        answer.cancel()


def filesystem(scheme: str) -> Any:
    """The one of a scheme, made once, for it holds the connections. Raises UserError."""
    with _opening:
        return _make(scheme)


@cache
def _make(scheme: str) -> Any:
    try:
        import fsspec

        kept = {"skip_instance_cache": True, "use_listings_cache": False}
        files = fsspec.filesystem(scheme, **kept, **_settings(scheme))
    except ImportError as error:
        raise UserError(
            f"{scheme}:// needs fsspec and {SCHEMES[scheme]}: pip install fsspec {SCHEMES[scheme]}"
        ) from error
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    if hasattr(files, "set_session"):
        # Otherwise the first threads would each begin one, and only the last be closed.
        _wait(files, files.set_session(), FILE_SECONDS)
    return files


def _settings(scheme: str) -> dict[str, Any]:
    if SCHEMES[scheme] != "aiohttp":
        return {}
    from aiohttp import ClientTimeout

    timeout = ClientTimeout(TOTAL_SECONDS, sock_connect=CONNECT_SECONDS, sock_read=SILENT_SECONDS)
    # trust_env: the proxies of the environment, and the passwords of ~/.netrc.
    return {"client_kwargs": {"timeout": timeout, "trust_env": True}}
