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

# {an option of every command: its meaning}.
COMMON = {"--version": "print the version", "--debug": "show where an error came from"}
# {type of a field that is an option without a value: its action}.
FLAGS: dict[Any, Any] = {bool: "store_true", bool | None: argparse.BooleanOptionalAction}


class Parser(argparse.ArgumentParser):
    """Mistakes are one line, options not abbreviated; description and epilog are not wrapped."""

    def __init__(self, **settings: Any) -> None:
        kind = argparse.RawDescriptionHelpFormatter
        super().__init__(allow_abbrev=False, formatter_class=kind, **settings)

    def error(self, message: str) -> NoReturn:
        """Raise UsageError instead of printing the usage and leaving."""
        if message.endswith("expected one argument"):
            message += ", which is written --option=VALUE where it begins with -"
        raise UsageError(f"{printable(message)}; see {self.prog} --help")


class Gather(argparse.Action):
    """All values of an option of several count, also where it is given several times."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        earlier = getattr(namespace, self.dest)
        given = [] if earlier is self.default else earlier
        setattr(namespace, self.dest, [*given, *values])


def option(meaning: str, *, group: str = "", **settings: Any) -> Any:
    """The declaration of one option: a field of a dataclass, `--NAME` by the field's name.

    A field of type bool is a flag, one of bool | None has --NAME and --no-NAME.
    group: a heading of --help that begins with this option. settings: as add_argument takes them.
    """
    return field(metadata={"help": meaning, "group": group, **settings})


def make_parser(options: type, script: str, description: str, examples: str) -> Parser:
    """The parser of a script, or of the installed command that was started in its place.

    options: the dataclass that declares them. examples: with the script as `python <script>`.
    """
    started = Path(sys.argv[0]).name
    if started.startswith("malaria-"):
        script, examples = started, examples.replace(f"python {script}", started)
    parser = Parser(prog=script, description=description, epilog=examples)
    add = parser.add_argument
    for one in fields(options):
        settings = dict(one.metadata)
        if not settings:
            continue
        if title := settings.pop("group"):
            add = parser.add_argument_group(title).add_argument
        if one.type in FLAGS:
            settings["action"] = FLAGS[one.type]
        if settings.get("nargs") == "+":
            settings["action"] = Gather
        add(f"--{one.name}", **settings)
    add_common(parser)
    return parser


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add --version, and --debug, which run_script looks for."""
    version = f"malaria {__version__}"
    parser.add_argument("--version", action="version", version=version, help=COMMON["--version"])
    parser.add_argument("--debug", action="store_true", help=COMMON["--debug"])


def run_script(
    main: Callable[[Sequence[str]], int | None], arguments: Sequence[str] | None = None
) -> int:
    """Run `main(arguments)`; return 0 done, 1 not done, 2 wrong use or 130 interrupted.

    Errors become one line on stderr; with --debug among the arguments they keep their traceback.
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


def describe(error: Exception) -> str:
    """The error's own lines or line, printable, since it may quote a stranger's file."""
    if isinstance(error, UserError):
        # Lines of ours begin with two spaces; any other break comes from a stranger's name.
        return "error: " + "\n  ".join(map(printable, str(error).split("\n  ")))
    if isinstance(error, OSError) and error.strerror:
        where = f"{printable(error.filename)}: " if error.filename else "writing the results: "
        return f"error: {where}{error.strerror}"
    text = printable(" ".join(str(error).split()))
    return f"error: {type(error).__name__}: {text} (run again with --debug to see where)"
