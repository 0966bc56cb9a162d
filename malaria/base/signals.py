"""signals: Ctrl-C is one line while a program starts, works and ends, however often pressed."""

import os
import signal
import time
from contextlib import suppress
from types import FrameType

EXIT_STATUS = 130
# What was pressed again sooner than this was meant the first time.
PATIENCE_SECONDS = 1.0

_pressed: list[float] = []


def end_on_interrupt() -> None:
    """Let Ctrl-C end the program with one line, unless it was started to ignore Ctrl-C.

    Called before anything large is imported.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def raise_on_interrupt() -> None:
    """Let Ctrl-C raise KeyboardInterrupt, so that files are closed; pressed on and on, it ends.

    Where `end_on_interrupt` was not called, in a notebook for example, nothing changes.
    """
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, _raise_once)


def _end(number: int, frame: FrameType | None) -> None:
    with suppress(OSError):  # where stderr was closed
        os.write(2, b"interrupted\n")
    os._exit(EXIT_STATUS)


def _raise_once(number: int, frame: FrameType | None) -> None:
    _pressed.append(time.monotonic())
    if len(_pressed) == 1:
        raise KeyboardInterrupt
    # It was lost, in a destructor perhaps, or what it interrupted takes its time.
    if _pressed[-1] - _pressed[0] > PATIENCE_SECONDS:
        _end(number, frame)
