"""unpack: unpack a zip of labelled pictures into a folder, whole or not at all."""

import contextlib
import io
import json
import os
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PureWindowsPath
from typing import Any

from malaria.base.errors import UserError
from malaria.base.files import hash_file
from malaria.base.lock import locked
from malaria.base.text import printable, shorten

# Several times what the NLM archive needs (27,560 members, 0.4 GiB unpacked, the largest member
# under 1 MiB): a zip of a few kilobytes can unpack to more than any disk holds.
MEMBERS_LIMIT = 200_000
# Of the zip's directory, the list of its members: 167 bytes a member; the NLM archive has 145.
DIRECTORY_LIMIT = 32 * 2**20
UNPACKED_LIMIT = 8 * 2**30
MEMBER_LIMIT = 256 * 2**20
# Pictures lie at depth 3; thousands of nested folders would be more than rmtree can clear away.
DEPTH_LIMIT = 8

# How many characters of a stranger's name a message shows.
SHOWN_LENGTH = 200

MARKER = ".complete"
# What file managers leave behind. A marker that came in a zip would vouch for what it never saw.
SKIPPED_NAMES = {"Thumbs.db", ".DS_Store", MARKER}
SKIPPED_FOLDER = "__MACOSX"

CHUNK = 2**20
# With which zipfile wants each member in the directory to begin.
ENTRY_SIGNATURE = b"PK\x01\x02"
# All that zipfile was seen to raise for a damaged file.
BAD_ZIP = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, ValueError)


def unpack(archive: Path | str, destination: Path | str, *, sha256: str | None = None) -> None:
    """Unpack what the one top folder of the zip `archive` holds into the new folder `destination`.

    Every member is checked before the first byte is written, and `destination` appears only when
    it is complete. Raises UserError, also where `sha256` is given and `archive` has another, and
    where another process unpacks into the same.
    """
    destination = Path(destination)
    _refuse_existing(destination)
    check_regular(archive)
    # Opened once: the bytes that are unpacked are the bytes that were verified.
    with _one_line_errors(archive, destination), _BoundedReader(io.FileIO(archive)) as file:
        digest = hash_file(file).hex()
        file.seek(0)
        if sha256 and digest != sha256.lower():
            raise UserError(f"{archive}: expected SHA-256 {sha256}, received {digest}")
        with zipfile.ZipFile(file) as packed:
            files = _files_to_unpack(packed, archive)
            with locked(_lock_of(destination), f"{destination} is being unpacked"):
                _refuse_existing(destination)
                _write_all(packed, files, destination, {"sha256": digest, "files": len(files)})


def check_regular(archive: Path | str) -> None:
    """Raise UserError if `archive` is a folder, or a pipe or device, which might never end."""
    if os.path.exists(archive) and not os.path.isfile(archive):
        raise UserError(f"{archive} is not a regular file: expected a zip")


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


class _BoundedReader(io.BufferedReader):
    """An archive that gives nobody more at once than a directory of MEMBERS_LIMIT members.

    zipfile reads the directory with one read, of as many bytes as the archive says, and makes half
    a kilobyte of objects from each 46 of them before anybody can count.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        """As io.BufferedReader. Raises UserError for too much, before it becomes objects."""
        _check_limit(self.name, DIRECTORY_LIMIT, size or 0, "bytes in its list of members")
        content = super().read(size)
        _check_limit(self.name, MEMBERS_LIMIT, content.count(ENTRY_SIGNATURE), "members")
        return content


def _refuse_existing(destination: Path) -> None:
    if os.path.lexists(destination):
        raise UserError(f"{destination} exists: expected a new folder; move it away and run again")


def _lock_of(destination: Path) -> Path:
    return destination.with_name(f".{destination.name}.lock")


@contextlib.contextmanager
def _one_line_errors(archive: Path | str, destination: Path) -> Iterator[None]:
    """Turn a damaged zip and a failing disk into a UserError."""
    try:
        yield
    except BAD_ZIP as error:
        found = shorten(error, SHOWN_LENGTH) or type(error).__name__
        raise UserError(f"{archive}: expected a whole zip, found: {found}; get it again") from error
    except OSError as error:
        reason = shorten(error, SHOWN_LENGTH)
        raise UserError(f"cannot unpack {archive} into {destination}: {reason}") from error


def _files_to_unpack(packed: zipfile.ZipFile, archive: Path | str) -> list[zipfile.ZipInfo]:
    """The members that are files, all in one top folder; raises UserError if any is unsafe."""
    members = packed.infolist()
    _check_sizes(members, archive)
    names: set[str] = set()
    for member in members:
        reason = _why_unsafe(member)
        if member.filename in names:
            reason = "the name of an earlier member"
        if reason:
            name = shorten(member.orig_filename, SHOWN_LENGTH)
            raise UserError(f"{archive}: member {name} has {reason}; nothing was unpacked")
        names.add(member.filename)
    files = [member for member in members if _is_wanted(member)]
    _check_top_folder(files, archive)
    return files


def _check_sizes(members: Sequence[zipfile.ZipInfo], archive: Path | str) -> None:
    """Raise UserError for an archive that is too much as a whole."""
    unpacked = sum(member.file_size for member in members)
    _check_limit(archive, MEMBERS_LIMIT, len(members), "members")
    _check_limit(archive, UNPACKED_LIMIT, unpacked, "bytes unpacked")


def _check_limit(archive: Path | str, limit: int, found: int, unit: str) -> None:
    if found > limit:
        raise UserError(
            f"{archive}: expected at most {limit} {unit}, found {found}; nothing was unpacked"
        )


def _why_unsafe(member: zipfile.ZipInfo) -> str | None:
    """What a member has that no member of an honest archive of pictures has, or None."""
    name = member.orig_filename
    parts = name.removesuffix("/").split("/")
    # A zip made on Windows has no type here, hence the 0.
    kind = stat.S_IFMT(member.external_attr >> 16)
    findings: dict[str, Any] = {
        "a control character in its name": printable(name) != name,
        "a backslash in its name": "\\" in name,
        "an absolute name": PureWindowsPath(name).anchor,
        "an empty part, `.` or `..` in its name": {"", ".", ".."}.intersection(parts),
        f"more than {DEPTH_LIMIT} parts in its name": len(parts) > DEPTH_LIMIT,
        "the type of a symbolic link": kind == stat.S_IFLNK,
        "the type of a special file": kind not in (0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK),
        "a password": member.flag_bits & 1,
        "an unknown compression": member.compress_type
        not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED),
        f"over {MEMBER_LIMIT} bytes": member.file_size > MEMBER_LIMIT,
    }
    return next((finding for finding, present in findings.items() if present), None)


def _is_wanted(member: zipfile.ZipInfo) -> bool:
    parts = member.filename.split("/")
    return not (member.is_dir() or parts[-1] in SKIPPED_NAMES or SKIPPED_FOLDER in parts)


def _check_top_folder(files: Sequence[zipfile.ZipInfo], archive: Path | str) -> None:
    """Raise UserError unless all files lie in one top folder."""
    prefix = files[0].filename.partition("/")[0] + "/" if files else ""
    outside = [member for member in files if not member.filename.startswith(prefix)]
    if outside or not files:
        names = sorted({member.filename.partition("/")[0] for member in (*files[:1], *outside[:4])})
        found = ", ".join(shorten(name, SHOWN_LENGTH) for name in names) or "no files"
        raise UserError(f"{archive}: expected one top folder, found: {found}; nothing was unpacked")


def _write_all(
    packed: zipfile.ZipFile,
    files: Sequence[zipfile.ZipInfo],
    destination: Path,
    marker: dict[str, Any],
) -> None:
    """Write the files and the marker beside `destination`, then give the folder its name."""
    partial = destination.with_name(f".{destination.name}.partial")
    if os.path.lexists(partial):
        shutil.rmtree(partial)
    try:
        for member in files:
            below_top = member.filename.split("/")[1:]
            _write_file(packed, member, partial.joinpath(*below_top))
        (partial / MARKER).write_text(json.dumps(marker) + "\n", encoding="utf-8")
        partial.rename(destination)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _write_file(packed: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # "x", otherwise two names that are one on this disk (a.png, A.png) would become one picture.
    with packed.open(member) as source, open(path, "xb") as target:
        shutil.copyfileobj(source, target, CHUNK)
        # zipfile stops at the promised size and checks the CRC, but lets a shorter file pass.
        if target.tell() != member.file_size:
            found = f"{member.filename} is {target.tell()} bytes, not {member.file_size}"
            raise zipfile.BadZipFile(found)


def summary(folder: Path) -> str:
    """One line with the number of files in each label folder."""
    labels = sorted(path for path in folder.iterdir() if path.is_dir())
    counts = ", ".join(f"{count_files(label)} {printable(label.name)}" for label in labels)
    return f"{folder}/: {counts}"
