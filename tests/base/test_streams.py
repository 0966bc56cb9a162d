"""Tests of malaria/base/streams.py: stderr is kept back, and is whole afterwards."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from malaria.base.streams import stderr_kept_back


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
