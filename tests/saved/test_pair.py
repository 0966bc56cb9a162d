"""Tests of malaria/saved/pair.py."""

import os

import pytest

from malaria.base.errors import UserError
from malaria.saved.pair import MAX_JSON_BYTES, Pair, find_pair, read_architecture


def make_pair(folder, name):
    for suffix, content in ((".h5", "\0weights"), (".json", "{}")):
        (folder / (name + suffix)).write_text(content)
    return folder / f"{name}.json"


@pytest.mark.parametrize("half", [".h5", ".json"])
def test_a_pair_is_found_by_either_half(tmp_path, half):
    name = "model_2019-03-18T23:31:49.432520_0.9594166874885559_0.11796065587550401"
    make_pair(tmp_path, name)
    pair = find_pair(str(tmp_path / (name + half)))
    names = [name + suffix for suffix in (".h5", ".json", ".tflite")]
    assert pair == Pair(*(tmp_path / name for name in names))


def test_of_a_folder_the_newest_pair_by_the_time_in_its_name_counts(tmp_path):
    newest = "model_20240501T093000.123Z_0.9_0.2"
    old = "model_2019-03-18T23:31:49.432520_0.9594166874885559_0.11796065587550401"
    for name in (newest, "model_20231231T235959.999Z_0.99_0.01", old, "zebra", "model_best_1_0"):
        make_pair(tmp_path, name)
    os.utime(tmp_path / f"{newest}.json", (0, 0))
    (tmp_path / "model_20990101T000000.000Z_1_0.json").write_text("a half")
    (tmp_path / "model_20990102T000000.000Z_1_0.json").mkdir()
    (tmp_path / "model_20990102T000000.000Z_1_0.h5").touch()
    assert find_pair(tmp_path).weights.name == f"{newest}.h5"


def test_among_names_without_a_time_the_newest_file_counts(tmp_path):
    for age, name in enumerate(("new", "older", "oldest")):
        os.utime(make_pair(tmp_path, name), (1e9 - age, 1e9 - age))
    assert find_pair(tmp_path).architecture.name == "new.json"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "expected a .h5 with a .json of the same name"),
        *((name, "half.h5 is not in") for name in ("half.h5", "half.json")),
        *((name, "expected a .h5 with its .json, a folder") for name in ("half", "picture.png")),
    ],
)
def test_a_missing_half_is_named(tmp_path, path, message):
    with pytest.raises(UserError, match=message):
        find_pair(tmp_path / path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        *((no, "is not JSON") for no in ("", "not JSON", "\x89HDF\udcff", "[" * 200_000)),
        ("[]", "expected a JSON object, received a list"),
        ("3", "expected a JSON object, received a int"),
        (" " * (MAX_JSON_BYTES + 1), "has more than 5,000,000 bytes"),
    ],
    ids=["empty", "text", "bytes", "deeply nested", "list", "number", "huge"],
)
def test_a_json_that_is_no_architecture_is_refused_in_one_line(tmp_path, content, message):
    pair = find_pair(make_pair(tmp_path, "model"))
    pair.architecture.write_text(content, errors="surrogateescape")
    with pytest.raises(UserError, match=message) as caught:
        read_architecture(pair)
    assert str(pair.architecture) in str(caught.value)


def test_an_architecture_that_cannot_be_read_is_told_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"^cannot read .*gone\.json: No such file or directory$"):
        read_architecture(Pair.at(tmp_path, "gone"))
