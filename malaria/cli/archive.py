"""archive: the command with which download.sh checks and unpacks an archive."""

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from malaria.base.files import sha256_of
from malaria.cli.command import Parser, add_common, run_script
from malaria.data.archive import is_complete, summary, unpack


def main(arguments: Sequence[str]) -> int:
    """Check, hash or unpack, as the command line says; return the exit status."""
    options = _parse(arguments)
    if options.command == "check":
        return 0 if is_complete(options.destination) else 1
    if options.command == "digest":
        print(sha256_of(options.archive))
        return 0
    unpack(options.archive, options.destination, sha256=options.sha256)
    print(summary(Path(options.destination)))
    return 0


def _parse(arguments: Sequence[str]) -> Namespace:
    parser = Parser(
        prog="python -m malaria.cli.archive",
        description="What download.sh does with an archive once it has it.",
    )
    add_common(parser)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("unpack", help="unpack a zip into a new folder")
    command.add_argument("archive")
    command.add_argument("destination")
    command.add_argument("--sha256", help="refuse an archive with another SHA-256")
    command = commands.add_parser("check", help="exit 0 if a folder is complete, 1 otherwise")
    command.add_argument("destination")
    command = commands.add_parser("digest", help="print the SHA-256 of a file")
    command.add_argument("archive")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(run_script(main))
