"""lock: one writer at a time; a lock that its owner's death releases."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from malaria.base.errors import UserError
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
    file = take_lock(path, doing)
    try:
        yield
    finally:
        release_lock(path, file)


def take_lock(path: Path, doing: str) -> int:
    """The open lock file, held until `release_lock` or the end of the process. See `locked`."""
    while True:
        file = _open(path)
        try:
            if fcntl:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.read(file, 200).decode("utf-8", "replace").strip()
            os.close(file)
            raise UserError(
                f"{printable(doing)} by {printable(owner or 'another process')}: wait until it ends"
            ) from None
        # The owner before may have removed the file between the two lines above.
        if _is_there(path, file):
            break
        os.close(file)
    started = time.strftime("%Y-%m-%d %H:%M:%S")
    os.ftruncate(file, 0)
    os.write(file, f"process {os.getpid()} since {started}\n".encode())
    return file


def release_lock(path: Path, file: int) -> None:
    """Remove the lock file and close it; in this order, so that no other is removed."""
    path.unlink(missing_ok=True)
    os.close(file)


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Never through a link that somebody has put there.
        return os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None


def _is_there(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(file))
    except FileNotFoundError:
        return False
