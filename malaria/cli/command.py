"""command: options declared as fields of a dataclass, their parser, and how a script ends."""

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import field, fields
from pathlib import Path
from typing import Any, NoReturn

from malaria import __version__
from malaria.base.errors import UsageError, UserError
from malaria.base.signals import EXIT_STATUS, raise_on_interrupt
from malaria.base.text import printable


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose mistakes are one line, whose options are not abbreviated.

    The description and the examples are printed as they are written.
    """

    def __init__(self, **settings: Any) -> None:
        settings.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        """Raise UsageError instead of printing the usage and leaving."""
        raise UsageError(f"{printable(message)}; see {self.prog} --help")


def option(meaning: str, *, group: str = "", **settings: Any) -> Any:
    """The declaration of one option: a field of a dataclass, `--NAME` by the field's name.

    A field of type bool is a flag, one of bool | None has --NAME and --no-NAME.
    group: a heading of --help that begins with this option. settings: as add_argument takes them.
    """
    return field(metadata={"help": meaning, "group": group, **settings})


def add_options(parser: argparse.ArgumentParser, options: type) -> None:
    """Add every option that the dataclass `options` declares, then --version and --debug."""
    actions: dict[Any, Any] = {bool: "store_true", bool | None: argparse.BooleanOptionalAction}
    add = parser.add_argument
    for one in fields(options):
        settings = dict(one.metadata)
        if not settings:
            continue
        if title := settings.pop("group"):
            add = parser.add_argument_group(title).add_argument
        if one.type in actions:
            settings["action"] = actions[one.type]
        add(f"--{one.name}", **settings)
    add_common(parser)


def name_program(script: str, examples: str) -> dict[str, str]:
    """The prog and the epilog of a parser: of `script`, or of the installed command started.

    examples: how to start the script, as `python <script>`.
    """
    started = Path(sys.argv[0]).name
    if started.startswith("malaria-"):
        return {"prog": started, "epilog": examples.replace(f"python {script}", started)}
    return {"prog": script, "epilog": examples}


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add --version, and --debug, which run_script looks for."""
    version = f"malaria {__version__}"
    parser.add_argument("--version", action="version", version=version, help="print the version")
    parser.add_argument("--debug", action="store_true", help="show where an error came from")


def run_script(
    main: Callable[[Sequence[str]], int | None], arguments: Sequence[str] | None = None
) -> int:
    """Run `main(arguments)`; return 0 done, 1 not done, 2 wrong use or 130 interrupted.

    `main` returns a status or None. Errors become one line on stderr; with --debug among the
    arguments they keep their traceback.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    _prepare_streams()
    raise_on_interrupt()
    try:
        status = main(arguments) or 0
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_STATUS
    except BrokenPipeError:
        # The reader of our output, `head` perhaps, has gone; otherwise Python complains at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if "--debug" in arguments:
            raise
        print(describe(error), file=sys.stderr)
        if isinstance(error, OSError):
            # Where stdout is full, Python would try again at its end, and complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return getattr(error, "exit_status", 1)


def _prepare_streams() -> None:
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by who started us
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  until the process ends
    for stream in (sys.stdout, sys.stderr):
        # A label in a terminal of another alphabet is shown escaped, and is no error.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _printable_lines(text: str) -> str:
    """The text without control characters, but for line breaks before lines of ours.

    Those begin with two spaces; any other break comes from a stranger's name.
    """
    return "\n  ".join(printable(line) for line in text.split("\n  "))


def describe(error: Exception) -> str:
    """A UserError's own line or lines; for anything else one, with its type and how to see more.

    Both are printable: they may quote a stranger's file.
    """
    if isinstance(error, UserError):
        return f"error: {_printable_lines(str(error))}"
    if isinstance(error, OSError) and error.strerror:
        where = f"{printable(error.filename)}: " if error.filename else "writing the results: "
        return f"error: {where}{error.strerror}"
    text = printable(" ".join(str(error).split()))
    return f"error: {type(error).__name__}: {text} (run again with --debug to see where)"
