"""archive: the commands with which download.sh locks, copies, checks and unpacks an archive."""

import os
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

from malaria.base.errors import UserError
from malaria.base.files import refuse_link, sha256_of
from malaria.base.lock import hold, locked
from malaria.base.text import printable
from malaria.cli.command import Parser, add_common, run_script
from malaria.data import unpack as zips
from malaria.data.unpack import check_regular, is_complete, summary

DOING = "the cell images are being fetched"
# The number under which download.sh has its lock file open.
LOCK_FILE = 9


def main(arguments: Sequence[str]) -> int:
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
    return 0 if is_complete(folder) else 1


def digest(archive: str) -> None:
    check_regular(archive)
    print(sha256_of(archive))


def copy(url: str, archive: str) -> None:
    """url: of a file, file://..."""
    # A name may be no UTF-8.
    path = unquote(url[len("file://") :], errors="surrogateescape")
    source = path.removeprefix("localhost")
    check_regular(source)
    try:
        shutil.copyfile(source, archive)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot copy {printable(url)}: {printable(error)}") from error


def unpack(archive: str, folder: str, sha256: str) -> None:
    zips.unpack(archive, folder, sha256=sha256)
    print(summary(Path(folder)))


def lock(path: str, *others: str) -> None:
    """Lock a file that the shell has opened, for it and all that it starts; others: it will write.

    Raises UserError for links, through which it would write into files of others.
    """
    for name in (path, *others):
        refuse_link(Path(name))
    if not hold(LOCK_FILE, Path(path), DOING, owner=os.getppid()):
        raise UserError(f"{DOING} by a process that has just ended: run again")


def unlock(path: str) -> None:
    """Remove a lock file that nobody holds."""
    with locked(Path(path), DOING):
        pass


COMMANDS = {one.__name__: one for one in (check, digest, copy, unpack, lock, unlock)}

if __name__ == "__main__":
    sys.exit(run_script(main))
