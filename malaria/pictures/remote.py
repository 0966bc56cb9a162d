"""remote: ask other machines through fsspec, which no other file knows, and say why they failed.

fsspec and asyncio are imported where a remote name is used, for other images need neither.
"""

import logging
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from threading import Lock, Thread, current_thread
from typing import Any

from malaria.base.errors import UserError
from malaria.base.text import shorten
from malaria.pictures.limits import UnreadableImageError
from malaria.pictures.remote_path import SCHEMES, RemotePath

# Of http: for a connection, for the next bytes, and for an image that waits for others too.
CONNECT_SECONDS, SILENT_SECONDS, TOTAL_SECONDS = 10, 30, 600
# For a file of a store, or for each part of a large one; for all of a web server's, which may drip.
FILE_SECONDS = WEB_SECONDS = 120
# So many images are waited for at once: each takes 20 to 100 ms, and no work here.
READERS = 32

# The names of errors of fsspec, aiohttp, botocore and Google, and what they mean to a user.
REASONS = {
    "FileNotFoundError": "not found",
    "PermissionError": "access denied",
    "NoCredentialsError": "access denied: no credentials",
    "PartialCredentialsError": "access denied: no credentials",
    "GoogleAuthError": "access denied: no credentials",
    "ClientPayloadError": "the connection ended too early",
    "TimeoutError": "no answer",
    "ConnectionError": "no answer",
    "ClientConnectionError": "no answer",
}
# The same by the status of HTTP.
STATUS = {401: "access denied", 403: "access denied", 404: "not found", 410: "not found"}

_opening = Lock()
_waiting: set[Future[Any]] = set()


def request(path: RemotePath, method: str, **arguments: Any) -> Coroutine[Any, Any, Any]:
    """What to `wait` for, or `begin`. Raises UserError where a package is missing.

    method: such as _cat_file; the underscore is how fsspec names public methods that are awaited.
    """
    with _opening:
        files = _connect(path.scheme)
    work: Coroutine[Any, Any, Any] = getattr(files, method)(path.url, **arguments)
    return work


def wait(work: Coroutine[Any, Any, Any], seconds: float = FILE_SECONDS) -> Any:
    """What the work gives. Raises what it raises, TimeoutError, and CancelledError after Ctrl-C.

    Not `fsspec.asyn.sync`, whose waiting nobody could end.
    """
    answer = begin(work)
    _waiting.add(answer)
    try:
        return answer.result(seconds)
    finally:
        _waiting.discard(answer)
        answer.cancel()


def begin(work: Coroutine[Any, Any, Any]) -> Future[Any]:
    """Let the thread of fsspec do something, which nothing ends."""
    from asyncio import run_coroutine_threadsafe

    from fsspec.asyn import get_loop

    return run_coroutine_threadsafe(work, get_loop())


@contextmanager
def remote_readers() -> Iterator[ThreadPoolExecutor]:
    """Threads, none before it is needed, that read while others classify; Ctrl-C ends them all."""
    started: list[Thread] = []
    with ThreadPoolExecutor(READERS, initializer=lambda: started.append(current_thread())) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            # Again and again, for one may have been about to ask.
            while any(thread.is_alive() for thread in started):
                for answer in _waiting.copy():
                    answer.cancel()
                time.sleep(0.05)
            raise


@cache
def _connect(scheme: str) -> Any:
    """The file system of a scheme, made once, for it holds the connections. Raises UserError."""
    try:
        import fsspec

        kept = {"skip_instance_cache": True, "use_listings_cache": False}
        files = fsspec.filesystem(scheme, **kept, **_settings(scheme))
    except ImportError as error:
        needed = SCHEMES[scheme]
        what = f"{scheme}:// needs fsspec and {needed}: pip install fsspec {needed}"
        raise UserError(what) from error
    # They tell of each failure on stderr, with a traceback; what matters is raised.
    for name in ("fsspec", "gcsfs", "s3fs"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    if hasattr(files, "set_session"):
        # Otherwise the first threads would each begin one, and only the last be closed.
        wait(files.set_session())
    return files


def _settings(scheme: str) -> dict[str, Any]:
    if SCHEMES[scheme] != "aiohttp":
        return {}
    from aiohttp import ClientTimeout

    timeout = ClientTimeout(TOTAL_SECONDS, sock_connect=CONNECT_SECONDS, sock_read=SILENT_SECONDS)
    # trust_env: the proxies of the environment, and the passwords of ~/.netrc.
    return {"client_kwargs": {"timeout": timeout, "trust_env": True}}


@contextmanager
def translate_errors() -> Iterator[None]:
    """Every error but our own becomes an UnreadableImageError with the reason."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UnreadableImageError(describe(error)) from error


def describe(error: Exception) -> str:
    """Why something could not be read, in a few words."""
    status: Any = getattr(error, "status", getattr(error, "code", None))
    names = (REASONS.get(kind.__name__) for kind in type(error).__mro__)
    reason = STATUS.get(status) or next(filter(None, names), None)
    text = shorten(" ".join(str(error).split()), 120)
    if reason is None:
        return f"cannot be read: {text or type(error).__name__}"
    return f"{reason}: {text}" if reason == "no answer" and text else reason
