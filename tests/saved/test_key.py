"""Tests of malaria/saved/key.py."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from malaria.saved import key

TOP = Path(__file__).parents[2]
HEX = "import sys; from malaria.saved.key import sign; print(sign(b'a').hex())"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder of a key that this process has not read yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    key._key_at.cache_clear()
    yield tmp_path / "malaria"
    key._key_at.cache_clear()


def sign_in_another_process(**changes):
    environment = {**os.environ, "PYTHONPATH": str(TOP), **changes}
    return subprocess.check_output([sys.executable, "-c", HEX], env=environment, text=True).strip()


def test_the_key_is_kept_and_only_its_owner_may_read_it(cache):
    assert key.sign(b"a").hex() == sign_in_another_process()
    assert key.sign(b"a") != key.sign(b"b")
    assert stat.S_IMODE((cache / "key").stat().st_mode) == 0o600
    assert [path.name for path in cache.iterdir()] == ["key"]


def test_another_user_has_another_key(cache, tmp_path):
    assert key.sign(b"a").hex() != sign_in_another_process(XDG_CACHE_HOME=str(tmp_path / "other"))


@pytest.mark.parametrize("content", [b"", b"short", bytes(33)])
def test_a_damaged_key_is_replaced(cache, content):
    cache.mkdir()
    (cache / "key").write_bytes(content)
    assert key.sign(b"a").hex() == sign_in_another_process()
    assert len((cache / "key").read_bytes()) == key.KEY_BYTES


def test_a_key_that_others_may_have_read_is_replaced(cache):
    cache.mkdir()
    (cache / "key").write_bytes(bytes(32))
    (cache / "key").chmod(0o644)
    key.sign(b"a")
    assert (cache / "key").read_bytes() != bytes(32)


def test_a_planted_link_is_replaced_and_its_target_not_touched(cache, tmp_path):
    cache.mkdir()
    (tmp_path / "known").write_bytes(bytes(32))
    (tmp_path / "known").chmod(0o600)
    (cache / "key").symlink_to(tmp_path / "known")
    key.sign(b"a")
    assert not (cache / "key").is_symlink()
    assert (tmp_path / "known").read_bytes() == bytes(32)


def test_where_none_can_be_kept_each_process_has_its_own(cache):
    cache.write_text("no folder")
    assert key.sign(b"a") == key.sign(b"a")
    assert key.sign(b"a").hex() != sign_in_another_process()


def test_a_pipe_in_its_place_does_not_hang(cache):
    cache.mkdir()
    os.mkfifo(cache / "key")
    assert key.sign(b"a").hex() == sign_in_another_process()
