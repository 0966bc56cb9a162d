"""archive: the commands with which download.sh locks, copies, checks and unpacks an archive."""

import os
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import unquote_to_bytes

from malaria.base.errors import UserError
from malaria.base.files import sha256_of
from malaria.base.lock import hold, locked
from malaria.base.text import printable
from malaria.cli.command import Parser, add_common, run_script
from malaria.data import unpack as zips
from malaria.data.unpack import check_regular, is_complete, summary

DOING = "the cell images are being fetched"
# The number under which download.sh has its lock file open.
LOCK_FILE = 9


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; return the exit status."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        # From here on Ctrl-C ends us, quietly: download.sh, which had it ignored, says so itself.
        signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
    parser = Parser(
        prog="python -m malaria.cli.archive",
        description="What download.sh does with an archive, and how it comes to be alone.",
    )
    add_common(parser)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("names", nargs="+", help="what the function of that name takes")
    options = parser.parse_args(arguments)
    return COMMANDS[options.command](*options.names) or 0


def check(folder: str) -> int:
    """Exit 0 if a folder is complete, 1 otherwise."""
    return 0 if is_complete(folder) else 1


def digest(archive: str) -> None:
    """Print the SHA-256 of a file."""
    check_regular(archive)
    print(sha256_of(archive))


def copy(url: str, archive: str) -> None:
    """Copy what a file:// address names."""
    # As bytes, for a name may be no UTF-8.
    path = unquote_to_bytes(os.fsencode(url)[len("file://") :])
    source = os.fsdecode(path.removeprefix(b"localhost"))
    check_regular(source)
    try:
        shutil.copyfile(source, archive)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot copy {url}: {printable(error)}") from error


def unpack(archive: str, folder: str, sha256: str) -> None:
    """Unpack a zip of that SHA-256 into a new folder."""
    zips.unpack(archive, folder, sha256=sha256)
    print(summary(Path(folder)))


def lock(path: str) -> None:
    """Lock a file that the shell has opened, for it and all that it starts."""
    if not hold(LOCK_FILE, Path(path), DOING, owner=os.getppid()):
        raise UserError(f"{DOING} by a process that has just ended: run again")


def unlock(path: str) -> None:
    """Remove a lock file that nobody holds."""
    with locked(Path(path), DOING):
        pass


_FUNCTIONS = (check, digest, copy, unpack, lock, unlock)
COMMANDS: dict[str, Callable[..., int | None]] = {one.__name__: one for one in _FUNCTIONS}

if __name__ == "__main__":
    sys.exit(run_script(main))
