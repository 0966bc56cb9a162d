"""archive: the commands with which download.sh locks, copies, checks and unpacks an archive."""

import os
import shutil
import signal
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote_to_bytes

from malaria.base.errors import UserError
from malaria.base.files import sha256_of
from malaria.base.lock import hold, locked
from malaria.base.text import printable
from malaria.cli.command import Parser, add_common, run_script
from malaria.data.unpack import check_regular, is_complete, summary, unpack

DOING = "the cell images are being fetched"
# The number under which download.sh has its lock file open.
LOCK_FILE = 9


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; return the exit status."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        # From here on Ctrl-C ends us, quietly: download.sh, which had it ignored, says so itself.
        signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
    options = _parse(arguments)
    status: int | None = options.run(*(getattr(options, name) for name in options.names))
    return status or 0


def _check(destination: str) -> int:
    return 0 if is_complete(destination) else 1


def _digest(archive: str) -> None:
    check_regular(archive)
    print(sha256_of(archive))


def _copy(url: str, archive: str) -> None:
    # As bytes, for a name may be no UTF-8.
    path = unquote_to_bytes(os.fsencode(url)[len("file://") :])
    source = os.fsdecode(path.removeprefix(b"localhost"))
    check_regular(source)
    try:
        shutil.copyfile(source, archive)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot copy {url}: {printable(error)}") from error


def _unpack(archive: str, destination: str, sha256: str | None) -> None:
    unpack(archive, destination, sha256=sha256)
    print(summary(Path(destination)))


def _lock(lock: str) -> None:
    """Lock the file that our parent has opened, for it and all that it starts."""
    if not hold(LOCK_FILE, Path(lock), DOING, owner=os.getppid()):
        raise UserError(f"{DOING} by a process that has just ended: run again")


def _unlock(lock: str) -> None:
    """Remove the lock file, unless somebody holds it."""
    with locked(Path(lock), DOING):
        pass


def _parse(arguments: Sequence[str]) -> Namespace:
    parser = Parser(
        prog="python -m malaria.cli.archive",
        description="What download.sh does with an archive, and how it comes to be alone.",
    )
    add_common(parser)
    commands = parser.add_subparsers(dest="command", required=True)
    for run, names, text in (
        (_check, ["destination"], "exit 0 if a folder is complete, 1 otherwise"),
        (_digest, ["archive"], "print the SHA-256 of a file"),
        (_copy, ["url", "archive"], "copy what a file:// address names"),
        (_unpack, ["archive", "destination", "--sha256"], "unpack a zip into a new folder"),
        (_lock, ["lock"], "lock a file that the shell has opened"),
        (_unlock, ["lock"], "remove a lock file that nobody holds"),
    ):
        command = commands.add_parser(run.__name__.removeprefix("_"), help=text)
        command.set_defaults(run=run, names=[name.removeprefix("--") for name in names])
        for name in names:
            command.add_argument(name)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(run_script(main))
