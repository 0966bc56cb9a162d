"""Tests of malaria/base/lock.py: one writer at a time."""

import errno
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from malaria.base import lock
from malaria.base.errors import UserError
from malaria.base.lock import locked

TOP = Path(__file__).parents[2]
HOLD = """
import sys, time
from pathlib import Path
from malaria.base.lock import locked
with locked(Path(sys.argv[1]), "it"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def owner(tmp_path):
    """Another process that holds tmp_path/lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "lock")], stdout=subprocess.PIPE, cwd=TOP
    )
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_what_another_process_holds_is_refused_with_its_number_and_its_start(tmp_path, owner):
    with pytest.raises(UserError) as caught, locked(tmp_path / "lock", "a.csv is being written"):
        pass
    assert re.fullmatch(
        rf"a\.csv is being written by process {owner.pid} since \d{{4}}-\d\d-\d\d [\d:]+: "
        "wait until it ends",
        str(caught.value),
    )


def test_the_lock_of_a_process_that_died_is_free(tmp_path, owner):
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    with locked(tmp_path / "lock", "it"):
        assert (tmp_path / "lock").read_text().startswith(f"process {os.getpid()} since ")


def test_a_lock_leaves_nothing_behind_and_can_be_taken_again(tmp_path):
    for _ in range(2):
        with locked(tmp_path / "new" / "lock", "it"):
            pass
        assert list((tmp_path / "new").iterdir()) == []


def test_a_planted_link_is_not_written_through(tmp_path):
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "lock").symlink_to(tmp_path / "precious")
    with pytest.raises(UserError, match="cannot write"), locked(tmp_path / "lock", "it"):
        pass
    assert (tmp_path / "precious").read_text() == "mine"


def fail(*_):
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_disk_that_knows_no_locks_is_worked_on_without(tmp_path, monkeypatch):
    monkeypatch.setattr(lock.fcntl, "flock", fail)
    with locked(tmp_path / "lock", "it"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_on_a_full_disk_the_lock_holds_without_a_name(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "write", fail)
    with (
        locked(tmp_path / "lock", "it"),
        pytest.raises(UserError, match="it by another process: wait"),
        locked(tmp_path / "lock", "it"),
    ):
        pass
