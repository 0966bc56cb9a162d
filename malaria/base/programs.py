"""programs: what another program prints, though it may hang, print for ever or be no program."""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress

from malaria.base.text import shorten

# The bytes that are kept of what is printed: the last ones.
KEPT = 2**16


class NoAnswerError(Exception):
    """Why a program gave no answer: the rest of a line that begins with the program's name."""


class TimeLimitError(NoAnswerError):
    """The program did not end."""


def ask(command: Sequence[str], seconds: float) -> str:
    """The end of what a program prints, stderr included, once it has ended with status 0.

    What is no UTF-8 is replaced. Raises NoAnswerError; a program that has not ended after `seconds`
    is killed with whatever it started.
    """
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise NoAnswerError(f"cannot be started: {error.strerror}") from None
    try:
        output = _read(process, time.monotonic() + seconds).decode("utf-8", "replace")
    except subprocess.TimeoutExpired:
        raise TimeLimitError(f"gave no answer within {seconds:.0f} seconds") from None
    finally:
        _close(process)
    if process.returncode != 0:
        raise NoAnswerError(_describe_end(process.returncode, output))
    return output


def _read(process: subprocess.Popen[bytes], end: float) -> bytes:
    """The last bytes that it prints; raises TimeoutExpired if it has not ended by `end`."""
    assert process.stdout is not None
    output = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while (left := end - time.monotonic()) > 0 and selector.select(left):
            part = os.read(process.stdout.fileno(), KEPT)
            output = (output + part)[-KEPT:]
            if not part:
                process.wait(left)
                return output
    raise subprocess.TimeoutExpired(process.args, 0)


def _close(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    process.stdout.close()
    if process.returncode is None:
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        # Not for ever: one that waits for a broken driver cannot be killed.
        with suppress(subprocess.TimeoutExpired):
            process.wait(1)


def _describe_end(status: int, output: str) -> str:
    if status < 0:
        how = f"was ended by signal {-status} ({signal.strsignal(-status)})"
    else:
        how = f"ended with exit status {status}"
    said = output.strip().splitlines()[-1:]
    return ": ".join([how, *(shorten(line, 200) for line in said)])
