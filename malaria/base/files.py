"""files: written whole or not at all, and through no link; read if regular; their SHA-256."""

import glob
import hashlib
import json
import os
import secrets
import stat
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO

from malaria.base.errors import UserError

# A cell of a spreadsheet that begins with one of these is computed, not shown.
# Some take the wide forms of Asian keyboards for the same.
FORMULA_STARTS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
# Without it Excel takes UTF-8 for the letters of one country.
BYTE_ORDER_MARK = "\ufeff"
LEFTOVER_SECONDS, _CHUNK = 86_400, 1 << 20


@contextmanager
def whole_file(path: Path | str) -> Iterator[Path]:
    """Give a temporary path beside `path`; when the block ends well it takes the place of `path`.

    Otherwise it is removed and `path` is as before. Raises UserError if it cannot be written.
    """
    path = Path(path)
    with _temporary(path) as temporary:
        # What writers left that were killed a day ago or earlier.
        for left in path.parent.glob(f".{glob.escape(path.name)}.*.partial"):
            with suppress(OSError):
                if time.time() - left.lstat().st_mtime > LEFTOVER_SECONDS:
                    left.unlink()
        yield temporary
        flush(temporary)
        os.replace(temporary, path)


def check_writable(path: Path | str) -> None:
    """Raise UserError if `path` could not be written; said before hours of work, not after them."""
    path = Path(path)
    if path.is_dir():
        raise UserError(f"cannot write {path}: it is a folder")
    with _temporary(path) as probe:
        probe.write_bytes(b"\0")


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """Give a path beside `path`, removed in the end; UserError for an OSError in the block."""
    # Not a name that somebody could guess and put a link at.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            temporary.unlink()


def open_own(path: Path, mode: str, **known: Any) -> IO[Any]:
    """As `open`, at a name that this program chose; made if it is not there, and never of mode "w".

    Raises UserError where a link, symbolic or hard, or what is no file has that name: somebody may
    have put it there, and it leads to a file of another's. OSError as `open`.
    """
    return open(path, mode, opener=_open_own, **known)


def _open_own(name: str, flags: int) -> int:
    more = os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    refusal = f"cannot write {name}: it is a link, or no file: delete it"
    if os.path.islink(name):
        raise UserError(refusal)
    file = os.open(name, flags | more, 0o666)
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        os.close(file)
        raise UserError(refusal)
    return file


def make_folder(folder: Path, within: Path) -> None:
    """Make the `folder` below `within`, which may be a link, while what is between them may not.

    Raises UserError where it is one, or the folder cannot be made.
    """
    try:
        within.mkdir(parents=True, exist_ok=True)
        for name in folder.relative_to(within).parts:
            within /= name
            within.mkdir(exist_ok=True)
            refuse_link(within)
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror}") from None


def is_own_link(path: Path) -> bool:
    """True if this is a link that this user has made, as to a larger disk."""
    return path.is_symlink() and (os.name != "posix" or path.lstat().st_uid == os.geteuid())


def refuse_link(path: Path) -> None:
    """Raise UserError if a file or folder, at a name that this program chose, is a link."""
    if path.is_symlink() or (path.is_file() and path.stat().st_nlink > 1):
        raise UserError(f"cannot write {path}: it is a link: delete it")


def flush(path: Path) -> None:
    """Bring the file to the disk, so that a power cut after the rename finds it whole."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def write_text(path: Path | str, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all; a name's undecodable bytes stay as they are."""
    write_pieces(path, [text])


def write_pieces(path: Path | str, pieces: Iterable[str]) -> None:
    """As `write_text`, a piece at a time: of a text too large to be held."""
    known: Any = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}
    with whole_file(path) as temporary, open(temporary, "w", **known) as file:
        file.writelines(pieces)


def write_json(path: Path | str, content: Any) -> None:
    """Write plain values as JSON, whole or not at all."""
    write_text(path, json.dumps(content, indent=1) + "\n")


def write_csv(path: Path | str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table as CSV, whole or not at all; no text in it becomes a formula.

    It begins with a byte order mark, so that it is read as "utf-8-sig".
    """
    write_text(path, BYTE_ORDER_MARK + "".join(map(csv_line, (header, *rows))))


def csv_line(row: Sequence[Any]) -> str:
    """One line of a CSV; no text in it becomes a formula, and None is empty.

    Texts with a semicolon or a tab are quoted too: in some countries these separate cells.
    """
    cells = ["" if value is None else str(safe_cell(value)) for value in row]
    for number, text in enumerate(cells):
        if set(text) & set(',";\t\r\n'):
            cells[number] = '"' + text.replace('"', '""') + '"'
    return ",".join(cells) + "\r\n"


def plain_cell(text: str) -> str:
    """The text that `safe_cell` made safe."""
    return text[1:] if text[:1] == "'" and text[1:].startswith(FORMULA_STARTS) else text


def safe_cell(value: Any) -> Any:
    """`value`, with an apostrophe before text that a spreadsheet would take for a formula."""
    is_formula = isinstance(value, str) and value.startswith(FORMULA_STARTS)
    return f"'{value}" if is_formula else value


def open_regular(
    path: Path | str, limit: int | None = None, error: type[UserError] = UserError
) -> BinaryIO:
    """Open a file for reading. Raises OSError, and `error` for what is no file or too large.

    A pipe or a device under the name of a file would be waited on, or read, for ever.
    """
    more = getattr(os, "O_NONBLOCK", 0)
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | more))  # noqa: SIM115
    known = os.fstat(file.fileno())
    if not stat.S_ISREG(known.st_mode):
        file.close()
        raise error("not a regular file")
    if limit is not None and known.st_size > limit:
        file.close()
        raise error(f"{known.st_size:,} bytes, more than the {limit:,} allowed")
    return file


def sha256_of(path: Path | str) -> str:
    """The SHA-256 of a file, as 64 hexadecimal digits. Raises UserError if it cannot be read."""
    try:
        with open_regular(path) as file:
            return hash_file(file).hex()
    except UserError as error:
        raise UserError(f"cannot read {path}: {error}") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None


def hash_file(file: BinaryIO, size: int | None = None) -> bytes:
    """The SHA-256, 32 bytes, of the next `size` bytes of an open file; None: of all that follow."""
    digest, left = hashlib.sha256(), sys.maxsize if size is None else max(0, size)
    while block := file.read(min(_CHUNK, left)):
        digest.update(block)
        left -= len(block)
    return digest.digest()
