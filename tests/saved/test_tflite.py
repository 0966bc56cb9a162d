"""Tests of malaria/saved/tflite.py."""

import hashlib
import json

import pytest

from malaria.base.errors import UserError
from malaria.saved.metadata import KEY
from malaria.saved.pair import Pair
from malaria.saved.tflite import (
    SEAL_BYTES,
    cache_path,
    digest_pair,
    find_sealed,
    keep_sealed,
    write_sealed,
)

DIGEST = digest_pair("ab" * 32, {"class_name": "Sequential", "config": {"layers": []}})
CONTENT = bytes(range(256)) * 10


@pytest.fixture
def pair(tmp_path, monkeypatch):
    """The names of a pair; what cannot be kept beside it would go to tmp_path/cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Pair.at(tmp_path / "models", "a")


def test_what_was_written_for_a_pair_is_found(pair):
    write_sealed(pair.tflite, CONTENT, DIGEST)
    assert find_sealed(pair, DIGEST) == pair.tflite
    assert len(pair.tflite.read_bytes()) == len(CONTENT) + SEAL_BYTES


def test_what_another_user_sealed_is_not_used(pair, tmp_path, monkeypatch):
    write_sealed(pair.tflite, CONTENT, DIGEST)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another cache"))
    assert find_sealed(pair, DIGEST) is None


def test_the_seal_that_version_1_gave_proves_nothing(pair):
    pair.tflite.parent.mkdir()
    pair.tflite.write_bytes(CONTENT + b"malaria1" + DIGEST + hashlib.sha256(CONTENT).digest())
    assert find_sealed(pair, DIGEST) is None


def test_nothing_is_found_where_there_is_none(pair):
    assert find_sealed(pair, DIGEST) is None


@pytest.mark.parametrize(
    ("weights", "architecture"),
    [
        ("ac" * 32, {"class_name": "Sequential", "config": {"layers": []}}),
        ("ab" * 32, {"class_name": "Functional", "config": {"layers": []}}),
        ("ab" * 32, {"class_name": "Sequential", "config": {"layers": [{}]}}),
    ],
    ids=["weights", "class", "layers"],
)
def test_another_pairs_network_is_not_used(pair, weights, architecture):
    write_sealed(pair.tflite, CONTENT, digest_pair(weights, architecture))
    assert find_sealed(pair, DIGEST) is None


def test_the_metadata_and_the_order_of_the_keys_do_not_count():
    architecture = {"config": {"layers": []}, KEY: {"threshold": 0.3}, "class_name": "Sequential"}
    assert digest_pair("ab" * 32, architecture) == DIGEST


def damage_at(place):
    def damage(content):
        changed = bytearray(content)
        changed[place] ^= 1
        return bytes(changed)

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        *(damage_at(place) for place in (0, 1000, len(CONTENT), len(CONTENT) + 10, -1)),
        lambda content: content[:-1],
        lambda content: content[1:],
        lambda content: content[: len(content) // 2],
        lambda content: content[:SEAL_BYTES],
        lambda content: content[:10],
        lambda content: content + b"\0",
        lambda content: content + content[-SEAL_BYTES:],
        lambda content: CONTENT,
        lambda content: b"",
    ],
)
def test_a_damaged_file_is_not_used(pair, damage):
    write_sealed(pair.tflite, CONTENT, DIGEST)
    pair.tflite.write_bytes(damage(pair.tflite.read_bytes()))
    assert find_sealed(pair, DIGEST) is None


def test_a_file_of_more_than_a_block_is_checked_to_its_end(pair):
    content = bytes(3 << 20)
    write_sealed(pair.tflite, content, DIGEST)
    assert find_sealed(pair, DIGEST) == pair.tflite
    pair.tflite.write_bytes(damage_at((2 << 20) + 5)(pair.tflite.read_bytes()))
    assert find_sealed(pair, DIGEST) is None


def test_it_is_kept_beside_its_pair_in_place_of_a_wrong_one(pair):
    pair.tflite.parent.mkdir()
    pair.tflite.write_bytes(b"of another pair")
    assert keep_sealed(pair, CONTENT, DIGEST) == pair.tflite
    assert find_sealed(pair, DIGEST) == pair.tflite
    assert not cache_path(DIGEST).exists()


def test_it_is_kept_in_the_cache_where_nothing_can_be_written_beside(pair, tmp_path):
    pair.tflite.mkdir(parents=True)  # root may write anywhere, but not over a folder
    assert keep_sealed(pair, CONTENT, DIGEST) == cache_path(DIGEST)
    assert find_sealed(pair, DIGEST) == cache_path(DIGEST)
    assert cache_path(DIGEST).is_relative_to(tmp_path / "cache")
    assert [path.name for path in pair.tflite.parent.iterdir()] == ["a.tflite"]
    other = digest_pair("cd" * 32, {})
    assert find_sealed(pair, other) is None


def test_where_neither_can_be_written_that_is_told(pair, tmp_path):
    pair.tflite.mkdir(parents=True)
    (tmp_path / "cache").write_text("no folder")
    assert find_sealed(pair, DIGEST) is None
    with pytest.raises(UserError, match=r"cannot write .*cache"):
        keep_sealed(pair, CONTENT, DIGEST)


def test_without_a_setting_the_cache_is_in_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_path(DIGEST) == tmp_path / ".cache" / "malaria" / f"{DIGEST.hex()}.tflite"


def test_a_digest_is_of_the_network_and_the_weights_alone():
    text = json.dumps({"a": 1, "b": 2}) + "ef" * 32
    assert digest_pair("ef" * 32, {"b": 2, "a": 1}) == hashlib.sha256(text.encode()).digest()
