"""unpack: unpack a zip of labelled images into a folder, whole or not at all."""

import json
import os
import re
import shutil
import stat
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from malaria.base.errors import UserError
from malaria.base.files import hash_file
from malaria.base.lock import locked
from malaria.base.text import printable, shorten

# Several times what the NLM's needs: a small zip can unpack to more than any disk holds.
UNPACKED_LIMIT = 8 * 2**30

MARKER = ".complete"
# Left behind by file managers. A marker that came in a zip would vouch for what it never saw.
SKIPPED_NAMES = {"Thumbs.db", ".DS_Store", MARKER}
# Names that are absolute, lead upwards, or do so on Windows.
ELSEWHERE = re.compile(r"^/|(^|/)\.\.(/|$)|[\\:]")
# How many characters of a stranger's name or a library's message an error shows.
SHOWN_LENGTH = 200

Files = Sequence[zipfile.ZipInfo]


def unpack(archive: Path | str, destination: Path | str, *, sha256: str | None = None) -> None:
    """Unpack what the one top folder of the zip `archive` holds into the new folder `destination`.

    `destination` appears only when it is complete. Raises UserError, also for an archive of another
    SHA-256, and where another process unpacks into the same.
    """
    destination = Path(destination)
    check_regular(archive)
    # Opened once: the bytes that are unpacked are the bytes that were verified.
    with _one_line_errors(archive, destination), open(archive, "rb") as file:
        digest = hash_file(file).hex()
        if sha256 and digest != sha256.lower():
            raise UserError(f"{archive}: expected SHA-256 {sha256}, received {digest}")
        lock = destination.with_name(f".{destination.name}.lock")
        with zipfile.ZipFile(file) as packed, locked(lock, f"{destination} is being unpacked"):
            files = [member for member in packed.infolist() if _is_wanted(member)]
            _check(files, archive)
            _write_all(packed, files, destination, digest)


def check_regular(archive: Path | str) -> None:
    """Raise UserError if `archive` is a folder, or a pipe or device, which might never end."""
    if os.path.exists(archive) and not os.path.isfile(archive):
        raise UserError(f"{printable(archive)} is not a regular file: expected a zip")


def is_complete(folder: Path | str) -> bool:
    """Whether `unpack` made `folder` and it still holds as many files as then."""
    path = Path(folder, MARKER)
    try:
        marker = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return bool(count_files(folder) == marker["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def count_files(folder: Path | str) -> int:
    """The number of files in and below `folder`, without those that file managers leave behind."""
    return sum(name not in SKIPPED_NAMES for _, _, names in os.walk(folder) for name in names)


def summary(folder: Path) -> str:
    """One line with the number of files in each label folder."""
    labels = sorted(path for path in folder.iterdir() if path.is_dir())
    counts = ", ".join(f"{count_files(label)} {printable(label.name)}" for label in labels)
    return f"{folder}/: {counts}"


@contextmanager
def _one_line_errors(archive: Path | str, destination: Path) -> Iterator[None]:
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        found = shorten(error, SHOWN_LENGTH) or type(error).__name__
        if isinstance(error, OSError):
            raise UserError(f"cannot unpack {archive} into {destination}: {found}") from error
        # zipfile fails on damaged ones in many ways: BadZipFile, zlib.error, struct.error, ...
        raise UserError(f"{archive}: expected a whole zip, found: {found}; get it again") from error


def _is_wanted(member: zipfile.ZipInfo) -> bool:
    parts = member.filename.split("/")
    return not (member.is_dir() or parts[-1] in SKIPPED_NAMES or "__MACOSX" in parts)


def _check(files: Files, archive: Path | str) -> None:
    """Raise UserError unless all files lie in one top folder, and together are not too large."""
    reason = None
    outside = [
        member.filename
        for member in files
        if stat.S_ISLNK(member.external_attr >> 16) or ELSEWHERE.search(member.filename)
    ]
    size = sum(member.file_size for member in files)
    tops = sorted({member.filename.partition("/")[0] for member in files})
    if outside:
        reason = f"member {shorten(outside[0], SHOWN_LENGTH)} is a link or leads elsewhere"
    elif size > UNPACKED_LIMIT:
        reason = f"expected at most {UNPACKED_LIMIT} bytes unpacked, found {size}"
    elif len(tops) != 1 or "/" not in files[0].filename:
        found = ", ".join(shorten(name, SHOWN_LENGTH) for name in tops[:5]) or "no files"
        reason = f"expected one top folder, found: {found}"
    if reason:
        raise UserError(f"{archive}: {reason}; nothing was unpacked")


def _write_all(packed: zipfile.ZipFile, files: Files, destination: Path, sha256: str) -> None:
    if os.path.lexists(destination):
        raise UserError(f"{destination} exists: expected a new folder; move it away and run again")
    partial = destination.with_name(f".{destination.name}.partial")
    if os.path.lexists(partial):
        shutil.rmtree(partial)
    try:
        packed.extractall(partial, files)
        [top] = partial.iterdir()
        if count_files(top) != len(files):
            raise OSError("names of two files are one on this disk")
        marker = {"sha256": sha256, "files": len(files)}
        (top / MARKER).write_text(json.dumps(marker) + "\n", encoding="utf-8")
        top.rename(destination)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
