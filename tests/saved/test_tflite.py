"""Tests of malaria/saved/tflite.py."""

import hashlib
import json
import os
import shutil
from dataclasses import replace
from unittest.mock import Mock

import pytest

from malaria.base.errors import UserError
from malaria.pictures.images import PixelFormat
from malaria.saved import tflite
from malaria.saved.metadata import KEY, Metadata
from malaria.saved.pair import Pair, default_pair, find_pair

NETWORK = {"class_name": "Sequential", "config": {"layers": []}}
DIGEST = tflite.digest_pair("ab" * 32, NETWORK)
CONTENT = bytes(range(256)) * 10
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The folder of what is kept; there is none yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "malaria"


@pytest.mark.parametrize(
    ("recorded", "expected"), [(SHA256, True), (SHA256[1:], False), (None, False), (7, False)]
)
def test_a_tflite_belongs_to_the_pair_whose_json_names_its_sha256(tmp_path, recorded, expected):
    pair = Pair.at(tmp_path, "a")
    pair.tflite.write_bytes(CONTENT)
    metadata = Metadata(("a", "b"), "a", PixelFormat((8, 8)), details={"tflite_sha256": recorded})
    assert tflite.belongs(pair, metadata) is expected
    assert not tflite.belongs(pair, replace(metadata, details={}))
    pair.tflite.write_bytes(CONTENT[:-1])
    assert not tflite.belongs(pair, metadata)


def test_only_pairs_that_come_with_the_program_are_pretrained(tmp_path):
    assert tflite.is_pretrained(find_pair(default_pair()))
    # A stranger's link to the pretrained weights says nothing of the .tflite beside it.
    (tmp_path / "compact.h5").symlink_to(default_pair())
    assert not tflite.is_pretrained(Pair.at(tmp_path, "compact"))


@pytest.mark.parametrize(
    ("weights", "architecture", "is_same"),
    [
        ("ac" * 32, NETWORK, False),
        ("ab" * 32, {**NETWORK, "class_name": "Functional"}, False),
        ("ab" * 32, {**NETWORK, "config": {"layers": [{}]}}, False),
        ("ab" * 32, {KEY: {"threshold": 0.3}, **dict(reversed(NETWORK.items()))}, True),
    ],
    ids=["weights", "class", "layers", "metadata and order of keys"],
)
def test_another_network_has_another_digest(weights, architecture, is_same):
    assert (tflite.digest_pair(weights, architecture) == DIGEST) is is_same
    text = json.dumps({"a": 1, "b": 2}) + "ef" * 32
    expected = hashlib.sha256(text.encode()).hexdigest()
    assert tflite.digest_pair("ef" * 32, {"b": 2, "a": 1}) == expected


def test_what_was_kept_is_found_and_nothing_else(cache):
    assert tflite.find_kept(DIGEST) is None
    path = tflite.keep(CONTENT, DIGEST)
    assert path == cache / f"{DIGEST}.tflite" == tflite.find_kept(DIGEST)
    assert path.read_bytes() == CONTENT
    assert tflite.find_kept(tflite.digest_pair("cd" * 32, {})) is None


@pytest.mark.parametrize("damage", [CONTENT[:-1], CONTENT[1:], CONTENT + b"\0", b""])
def test_a_kept_file_that_was_changed_is_not_used(damage):
    tflite.keep(CONTENT, DIGEST).write_bytes(damage)
    assert tflite.find_kept(DIGEST) is None
    assert tflite.keep(CONTENT, DIGEST) == tflite.find_kept(DIGEST)


def test_a_link_in_place_of_a_kept_file_is_not_followed(cache, tmp_path):
    path = tflite.keep(CONTENT, DIGEST)
    path.rename(tmp_path / "target")
    path.symlink_to(tmp_path / "target")
    assert tflite.find_kept(DIGEST) is None
    tflite.keep(b"other", DIGEST)
    assert not path.is_symlink()
    assert (tmp_path / "target").read_bytes() == CONTENT


def test_a_trial_is_remembered(cache):
    assert not tflite.is_tried(SHA256)
    for _ in range(2):
        tflite.note_tried(SHA256)
        assert tflite.is_tried(SHA256)
    assert not tflite.is_tried(SHA256[::-1])
    assert [path.name for path in (cache / "tried").iterdir()] == [SHA256]


def test_a_link_in_place_of_a_note_is_neither_believed_nor_followed(cache, tmp_path):
    (cache / "tried").mkdir(parents=True)
    (cache / "tried" / SHA256).symlink_to(tmp_path / "target")
    tflite.note_tried(SHA256)
    assert not (tmp_path / "target").exists()
    (tmp_path / "target").touch()
    assert not tflite.is_tried(SHA256)


def test_a_cache_may_be_a_link_of_the_users_own_and_none_of_another_user(
    cache, tmp_path, monkeypatch
):
    (tmp_path / "other").mkdir()
    cache.symlink_to("other")
    tflite.keep(CONTENT, DIGEST)
    assert tflite.find_kept(DIGEST).read_bytes() == CONTENT
    shutil.rmtree(tmp_path / "other")
    (tmp_path / "other").mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: cache.lstat().st_uid + 1)
    with pytest.raises(UserError, match=rf"cannot write {cache}: it is a link: delete it"):
        tflite.keep(CONTENT, DIGEST)
    tflite.note_tried(SHA256)
    assert not list((tmp_path / "other").iterdir())


def test_what_another_user_wrote_is_not_believed(monkeypatch):
    tflite.keep(CONTENT, DIGEST)
    mine = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    assert tflite.find_kept(DIGEST) is None
    assert not tflite.is_tried(SHA256)


def test_where_nothing_can_be_written_trials_are_forgotten_and_keeping_is_an_error(cache):
    cache.write_text("no folder")
    tflite.note_tried(SHA256)
    assert not tflite.is_tried(SHA256)
    with pytest.raises(UserError, match=r"cannot write .*malaria"):
        tflite.keep(CONTENT, DIGEST)


def test_the_cache_is_in_the_home_folder_of_a_user_who_has_one(monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tflite.keep(CONTENT, DIGEST).parent == tmp_path / ".cache" / "malaria"

    no_home = Mock(side_effect=RuntimeError("Could not determine home directory."))
    monkeypatch.setattr(tflite.Path, "home", no_home)
    tflite.note_tried(SHA256)
    assert tflite.find_kept(DIGEST) is None
    with pytest.raises(UserError, match="there is no home folder"):
        tflite.keep(CONTENT, DIGEST)
