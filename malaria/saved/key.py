"""key: a secret of this user, by which a file made here is told from a stranger's."""

import hmac
import os
import secrets
import stat
import tempfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

KEY_BYTES = 32


def cache_folder() -> Path:
    """Where this user's key and the .tflite of pairs in read-only folders are kept."""
    try:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:  # a user without a home
        home = tempfile.gettempdir()
    return Path(home) / "malaria"


def sign(message: bytes) -> bytes:
    """The HMAC-SHA256, 32 bytes, of `message` under this user's key.

    Where no key can be kept, one of this process alone takes its place.
    """
    return hmac.digest(_key_at(cache_folder() / "key"), message, "sha256")


@lru_cache(maxsize=8)
def _key_at(path: Path) -> bytes:
    with suppress(OSError):
        return _read(path) or _make(path)
    return secrets.token_bytes(KEY_BYTES)


def _read(path: Path) -> bytes | None:
    """The key, or None where there is none that this user alone knows."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
    try:
        file = os.open(path, flags)
    except OSError:
        return None
    try:
        is_ours = _is_secret(os.fstat(file))
        content = os.read(file, KEY_BYTES + 1) if is_ours else b""
    finally:
        os.close(file)
    return content if len(content) == KEY_BYTES else None


def _is_secret(status: os.stat_result) -> bool:
    if os.name != "posix":
        return stat.S_ISREG(status.st_mode)
    is_ours = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()
    return is_ours and not status.st_mode & 0o077


def _make(path: Path) -> bytes:
    """A new key, kept at `path`. Of two that make one at once, the later one counts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    key = secrets.token_bytes(KEY_BYTES)
    temporary = path.with_name(f".key.{secrets.token_hex(6)}.partial")
    try:
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(file, "wb") as target:
            target.write(key)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return _read(path) or key
