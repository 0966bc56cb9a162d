"""Tests of malaria/metadata.py."""

import json
import os
from pathlib import Path

import pytest

from malaria.base.errors import UserError
from malaria.data.images import PixelFormat
from malaria.saved.metadata import (
    KEY,
    MAX_JSON_BYTES,
    Pair,
    find_pair,
    network_size,
    read_architecture,
    read_metadata,
    sha256_of,
)

GOLDEN = Path(__file__).parents[1] / "networks" / "keras2"
ENTRIES = {
    "labels": ["NORMAL", "PNEUMONIA"],
    "positive_label": "PNEUMONIA",
    "image_size": [150, 120],
    "pixels": {"colour": "RGB", "resampling": "bilinear", "scale": 0.00392156862745098},
    "threshold": 0.25,
}


def make_pair(folder, name, content="{}"):
    for suffix in (".h5", ".json"):
        (folder / (name + suffix)).write_text(content)
    return folder / f"{name}.json"


def with_metadata(folder, **changes):
    """(pair, architecture) with ENTRIES and `changes`; an entry that is None is left out."""
    pair = find_pair(make_pair(folder, "model"))
    entries = {**ENTRIES, "weights_sha256": sha256_of(pair.weights), **changes}
    return pair, {KEY: {key: value for key, value in entries.items() if value is not None}}


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
    assert find_pair(tmp_path).weights.name == f"{newest}.h5"


def test_among_names_without_a_time_the_newest_file_counts(tmp_path):
    for age, name in enumerate(("new", "older", "oldest")):
        os.utime(make_pair(tmp_path, name), (1e9 - age, 1e9 - age))
    assert find_pair(tmp_path).architecture.name == "new.json"


def test_a_folder_called_like_a_json_is_no_half(tmp_path):
    (tmp_path / "model_20990101T000000.000Z_1_0.json").mkdir()
    (tmp_path / "model_20990101T000000.000Z_1_0.h5").touch()
    make_pair(tmp_path, "real")
    assert find_pair(tmp_path).architecture.name == "real.json"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "expected a .h5 with a .json of the same name"),
        ("half.h5", "half.json is not in"),
        ("half.json", "half.h5 is not in"),
        ("half", "expected a .h5, its .json, or a folder with pairs"),
        ("picture.png", "expected a .h5, its .json, or a folder with pairs"),
    ],
)
def test_a_missing_half_is_named(tmp_path, path, message):
    if path == "half.h5":
        (tmp_path / path).touch()
    with pytest.raises(UserError, match=message):
        find_pair(tmp_path / path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not JSON"),
        ("not JSON", "is not JSON"),
        ("\x89HDF\udcff", "is not JSON"),
        ("[" * 200_000, "is not JSON"),
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


def test_a_historic_pair_is_read_as_the_original_read_pictures():
    pair = find_pair(GOLDEN / "form_2018.h5")
    metadata = read_metadata(pair, read_architecture(pair))
    assert metadata.labels == ("Parasitized", "Uninfected")
    assert metadata.positive_label == "Parasitized"
    assert metadata.pixels == PixelFormat((20, 20), "BGR", "bicubic", 1 / 255)
    assert (metadata.threshold, metadata.details) == (0.5, {})


@pytest.mark.parametrize("sides", [None, [None, None], [10**9, 20], [float("inf"), 20], ["a", 2]])
def test_a_historic_network_that_says_no_possible_size_gets_the_originals(sides):
    shape = sides and [None, *sides, 3]
    architecture = {"config": [{"config": {"batch_input_shape": shape}}]}
    assert network_size(architecture) is None
    assert read_metadata(None, architecture).pixels.size == (141, 141)


def test_the_metadata_is_read_whole(tmp_path):
    pair, architecture = with_metadata(tmp_path, validation={"accuracy": 0.9})
    metadata = read_metadata(pair, architecture)
    assert metadata.labels == ("NORMAL", "PNEUMONIA")
    assert metadata.positive_label == "PNEUMONIA"
    assert metadata.pixels == PixelFormat((150, 120), "RGB", "bilinear", 1 / 255)
    assert metadata.threshold == 0.25
    assert metadata.details["validation"] == {"accuracy": 0.9}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": None}, "no 'labels'"),
        ({"labels": "NP"}, "labels are no list"),
        ({"labels": ["NORMAL"]}, "expected two or more unlike labels"),
        ({"labels": ["A", "A"]}, "expected two or more unlike labels"),
        ({"labels": ["A", 2]}, "labels are not names"),
        ({"positive_label": "SICK"}, "positive_label is none of the labels"),
        ({"image_size": [150]}, "expected an image_size of height and width"),
        ({"image_size": [150, True]}, "a side of True pixels"),
        ({"image_size": [150, 5000]}, "a side of 5000 pixels"),
        ({"pixels": {"colour": "GREY"}}, "colour 'GREY'"),
        ({"pixels": {"resampling": "nearest"}}, "resampling 'nearest'"),
        ({"pixels": {"scale": "0.5"}}, "scale '0.5'"),
        ({"pixels": {"scale": 10**400}}, "scale 1000"),
        ({"pixels": {"a\nb\x1b[2J": 1}}, r"unexpected keyword argument 'a\\nb\\x1b"),
        ({"pixels": 3}, "is damaged"),
        ({"threshold": float("nan")}, "threshold nan"),
        ({"threshold": 10**400}, "threshold 1000"),
        ({"threshold": 1.5}, "threshold 1.5"),
    ],
)
def test_an_impossible_metadata_is_refused_in_one_line(tmp_path, changes, message):
    pair, architecture = with_metadata(tmp_path, **changes)
    with pytest.raises(UserError, match=message) as caught:
        read_metadata(pair, architecture)
    assert len(str(caught.value)) < 500
    assert str(caught.value).isprintable()


def test_the_metadata_that_is_no_object_is_refused(tmp_path):
    pair, _ = with_metadata(tmp_path)
    with pytest.raises(UserError, match="is damaged"):
        read_metadata(pair, {KEY: []})


@pytest.mark.parametrize("recorded", ["0" * 64, "\x1b[2J\n", None, 7])
def test_weights_of_another_checksum_are_refused_in_one_line(tmp_path, recorded):
    pair, architecture = with_metadata(tmp_path, weights_sha256=recorded)
    with pytest.raises(UserError, match=r"model.h5 does not belong to model.json") as caught:
        read_metadata(pair, architecture)
    assert str(caught.value).isprintable()


def test_the_checksum_is_the_sha_256_of_the_bytes(tmp_path):
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    # Source: the first example of FIPS 180-2, appendix B.1.
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_of(path) == expected


def test_a_missing_file_has_no_checksum(tmp_path):
    with pytest.raises(UserError, match=r"cannot read .*nothing: No such file"):
        sha256_of(tmp_path / "nothing")


def test_a_historic_json_may_hold_what_keras_3_writes():
    architecture = {"config": {"layers": [{"config": {"batch_shape": [None, 128, 96, 3]}}]}}
    assert network_size(json.loads(json.dumps(architecture))) == (128, 96)
