"""lock: one writer at a time; a lock that its owner's death releases."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from malaria.base.errors import UserError
from malaria.base.files import open_own
from malaria.base.text import printable

try:
    import fcntl
except ImportError:  # on Windows there is none, and two writers are not told apart
    fcntl = None  # type: ignore[assignment]


@contextmanager
def locked(path: Path, doing: str) -> Iterator[None]:
    """Hold the lock file `path` while the block runs. Raises UserError if another process does.

    doing: what the other is doing then, such as "a.csv is being written".
    """
    held = False
    while not held:
        with _open(path) as file:
            held = hold(file.fileno(), path, doing, owner=os.getpid())
            if held:
                try:
                    yield
                finally:
                    # Before it is closed: after that the next owner's would be removed.
                    path.unlink(missing_ok=True)


def hold(file: int, path: Path, doing: str, *, owner: int) -> bool:
    """Lock an open lock file, in the name of process `owner`, until nobody has it open any more.

    False if the owner before has removed it from `path`. Raises UserError as `locked` does.
    """
    try:
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        other = os.read(file, 200).decode("utf-8", "replace").strip() or "another process"
        raise UserError(f"{printable(doing)} by {printable(other)}: wait until it ends") from None
    except OSError:
        pass  # a disk that knows no locks, as some clusters have: as on Windows
    if not _is_there(path, file):
        return False
    started = time.strftime("%Y-%m-%d %H:%M:%S")
    with suppress(OSError):  # on a full disk it holds all the same
        os.ftruncate(file, 0)
        os.write(file, f"process {owner} since {started}\n".encode())
    return True


def _open(path: Path) -> IO[bytes]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return open_own(path, "rb+", buffering=0)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None


def _is_there(path: Path, file: int) -> bool:
    try:
        # Not what a link leads to: that file would be written into.
        return os.path.samestat(os.lstat(path), os.fstat(file))
    except FileNotFoundError:
        return False
