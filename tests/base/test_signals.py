"""Tests of malaria/base/signals.py and streams.py: Ctrl-C, and a stderr that is kept back."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from malaria.base.streams import stderr_kept_back

TOP = Path(__file__).parents[2]
BEGIN = "from malaria.base import signals; signals.end_on_interrupt(); "
MAIN = """
import time
from malaria.cli.command import run_script
def main(arguments):
    try:
        print('working', flush=True)
        time.sleep(20)
    finally:
        time.sleep({cleaning})
        print('closed', flush=True)
sys.exit(run_script(main, []))
"""


def start(code):
    command, pipe = [sys.executable, "-c", f"import sys; {code}"], subprocess.PIPE
    process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=TOP)
    assert process.stdout.readline() == "working\n"
    return process


def press(process, times=1, pause=0.0):
    """Ctrl-C: (exit status, stdout, stderr)."""
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(pause)
    out, err = process.communicate(timeout=20)
    return process.returncode, out, err


def test_while_it_starts_ctrl_c_is_one_line():
    importing = start(BEGIN + "print('working', flush=True); import time; time.sleep(20)")
    assert press(importing) == (130, "", "interrupted\n")


@pytest.mark.parametrize("times", [1, 20])
def test_while_it_works_what_is_open_is_closed_however_often_it_is_pressed(times):
    working = start(BEGIN + MAIN.format(cleaning=0.3))
    assert press(working, times, 0.005) == (130, "closed\n", "interrupted\n")


def test_pressed_for_longer_it_ends_what_does_not_end():
    stuck = start(BEGIN + MAIN.format(cleaning=20))
    assert press(stuck, 7, 0.2) == (130, "", "interrupted\n")


def test_a_program_that_ignores_ctrl_c_goes_on_to_do_so():
    ignoring = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); "
    working = start(ignoring + BEGIN + "import time; print('working', flush=True); time.sleep(0.5)")
    assert press(working) == (0, "", "")


def test_what_is_written_is_kept_back_and_what_comes_later_is_shown(capfd):
    with stderr_kept_back():
        os.write(2, b"chatter\n")
    os.write(2, b"news\n")
    assert capfd.readouterr().err == "news\n"


def test_if_the_block_fails_it_is_shown(capfd):
    def fail():
        with stderr_kept_back():
            os.write(2, b"the reason\n")
            raise ValueError("odd")

    with pytest.raises(ValueError, match="odd"):
        fail()
    assert capfd.readouterr().err == "the reason\n"


def test_threads_that_hold_it_back_at_once_leave_it_as_it_was(capfd):
    barrier = threading.Barrier(4)

    def hold(seconds):
        barrier.wait()
        with stderr_kept_back():
            os.write(2, b"chatter\n")
            time.sleep(seconds)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(hold, (0.03, 0.01, 0.02, 0.0)))
    os.write(2, b"news\n")
    assert capfd.readouterr().err == "news\n"
