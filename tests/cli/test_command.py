"""Tests of malaria/cli/command.py."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from malaria.base.errors import UsageError, UserError
from malaria.cli.command import Parser, add_common, run_script

REPOSITORY = Path(__file__).parents[2]
HINT = "(run again with --debug to see where)"
# Prints as many lines as its argument says.
SCRIPT = """
import sys
from malaria.cli.command import run_script
def main(arguments):
    for number in range(int(arguments[0])):
        print(number)
sys.exit(run_script(main))
"""


def failing(error):
    def main(arguments):
        raise error

    return main


@pytest.mark.parametrize(("returned", "status"), [(None, 0), (0, 0), (1, 1), (2, 2)])
def test_what_main_returns_is_the_status_and_nothing_is_printed(capsys, returned, status):
    assert run_script(lambda arguments: returned, []) == status
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (UserError("no such folder"), 1, "error: no such folder\n"),
        (UsageError("no such key"), 2, "error: no such key\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (UserError("2 problems\n  a\n  b"), 1, "error: 2 problems\n  a\n  b\n"),
        (UserError("no \x1b[2J folder\r \udcff"), 1, "error: no \\x1b[2J folder\\r \\udcff\n"),
        (ValueError("odd\n  \x1b value"), 1, f"error: ValueError: odd \\x1b value {HINT}\n"),
        (FileNotFoundError(2, "No such file", "a.png"), 1, "error: a.png: No such file\n"),
        (OSError(28, "No space left"), 1, "error: writing the results: No space left\n"),
        (UserError("no folder a\nb\n  second"), 1, "error: no folder a\\nb\n  second\n"),
    ],
)
def test_an_error_is_told_on_stderr_without_a_traceback(capsys, error, status, line):
    assert run_script(failing(error), ["--image=x"]) == status
    assert capsys.readouterr() == ("", line)


@pytest.mark.parametrize("error", [UserError("a"), UsageError("b"), ValueError("c")])
def test_debug_keeps_the_traceback(error):
    with pytest.raises(type(error)) as caught:
        run_script(failing(error), ["--image=x", "--debug"])
    assert caught.value is error


def test_without_arguments_those_of_the_process_are_taken(monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "argv", ["run.py", "--image=x"])
    run_script(seen.append)
    assert seen == [["--image=x"]]


@pytest.mark.parametrize("lines", ["1", "100000"])
def test_a_reader_that_goes_away_is_no_reason_to_complain(lines):
    # Unbuffered, a broken pipe would be noticed at every print instead of at the end.
    environment = {name: value for name, value in os.environ.items() if "UNBUFFERED" not in name}
    command, pipe = [sys.executable, "-c", SCRIPT, lines], subprocess.PIPE
    process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=pipe, stderr=pipe)
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait() == 1


def parser():
    made = Parser(prog="run.py", description="first\n    second")
    made.add_argument("--image")
    made.add_argument("--size", type=int)
    add_common(made)
    return made


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--imag=x"], "unrecognized arguments: --imag=x"),
        (["--si=3"], "unrecognized arguments: --si=3"),
        (["--debu"], "unrecognized arguments: --debu"),
        (["--size=big"], "argument --size: invalid int value: 'big'"),
        (
            ["--image"],
            "argument --image: expected one argument, which is written --option=VALUE "
            "where it begins with -",
        ),
        (["a\x1b[31m\nb"], "unrecognized arguments: a\\x1b[31m\\nb"),
    ],
)
def test_a_wrong_option_is_one_line_that_names_help(capsys, arguments, message):
    with pytest.raises(UsageError) as caught:
        parser().parse_args(arguments)
    assert str(caught.value) == f"{message}; see run.py --help"
    assert capsys.readouterr() == ("", "")


def test_help_ends_well_and_keeps_the_lines_of_the_description(capsys):
    for arguments in ([], ["--debug"]):
        assert parser().parse_args(arguments).debug is bool(arguments)
    with pytest.raises(SystemExit) as caught:
        parser().parse_args(["--help"])
    assert not caught.value.code
    assert "first\n    second\n" in capsys.readouterr().out
