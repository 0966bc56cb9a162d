"""Tests of malaria/base/files.py."""

import csv
import hashlib
import json
import os
from io import BytesIO

import numpy as np
import pytest

from malaria.base.errors import UserError
from malaria.base.files import (
    hash_file,
    make_folder,
    plain_cell,
    safe_cell,
    sha256_of,
    whole_file,
    write_csv,
    write_json,
    write_text,
)

# Source: the first example of FIPS 180-2, appendix B.1.
SHA256_OF_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def write_half(path, error):
    with whole_file(path) as temporary:
        temporary.write_text("half")
        raise error


@pytest.fixture
def path(tmp_path):
    (tmp_path / "figures.txt").write_text("old")
    return tmp_path / "figures.txt"


def test_the_file_is_replaced_only_when_the_block_ends_well(path):
    with whole_file(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == path.parent
    assert path.read_text() == "new"
    assert names(path.parent) == ["figures.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, UserError])
def test_after_a_failure_the_old_content_is_there_and_nothing_else(path, error):
    with pytest.raises(error):
        write_half(path, error)
    with pytest.raises(UserError) as caught:
        write_half(path, OSError(28, "No space left on device"))
    assert str(caught.value) == f"cannot write {path}: No space left on device"
    with pytest.raises(UserError, match="No such file"), whole_file(path):
        pass  # a block that writes nothing
    assert path.read_text() == "old"
    assert names(path.parent) == ["figures.txt"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("file/a.txt", "exists|directory"), ("folder", "Is a directory"), ("n" * 250, "too long")],
)
def test_a_path_that_cannot_be_written_is_told_and_all_is_kept(tmp_path, name, reason):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    with pytest.raises(UserError, match=f"cannot write .*{name}: .*({reason})"):
        write_text(tmp_path / name, "x")
    assert names(tmp_path) == ["file", "folder"]
    assert names(tmp_path / "folder") == ["inside"]


def test_text_is_utf_8_undecodable_bytes_stay_and_missing_folders_are_made(tmp_path):
    write_csv(tmp_path / "a.csv", ["path"], [[os.fsdecode(b"cell\xff.png")]])
    assert (tmp_path / "a.csv").read_bytes() == b"\xef\xbb\xbfpath\r\ncell\xff.png\r\n"
    write_text(tmp_path / "new" / "a.txt", os.fsdecode("ä".encode() + b"\xff"))
    assert (tmp_path / "new" / "a.txt").read_bytes() == b"\xc3\xa4\xff"


def write_and_read(path, header, row):
    write_csv(path, header, [row])
    with open(path, newline="", encoding="utf-8-sig") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "-2+3|cmd", "=", "-0.5"]
)
def test_text_that_a_spreadsheet_would_compute_is_shown_instead(tmp_path, text):
    shown = safe_cell(text)
    assert shown == f"'{text}"
    table = write_and_read(tmp_path / "a.csv", ["name", text], [text, 1])
    assert table == [["name", shown], [shown, "1"]]
    assert plain_cell(shown) == text


@pytest.mark.parametrize("value", [-1, -0.5, 0, 1e-7, np.float64(-0.25), np.int64(-3), None])
def test_numbers_stay_numbers(value):
    assert safe_cell(value) is value


@pytest.mark.parametrize("text", ["", "a=b", "C1P1.png", "1-2", "'x", "a\nb", 'say "x", y'])
def test_other_text_stays_as_it_is_and_comes_back_whole(tmp_path, text):
    assert plain_cell(text) == text
    table = write_and_read(tmp_path / "a.csv", ["name", "loss"], [text, -0.5])
    assert table == [["name", "loss"], [text, "-0.5"]]


def test_a_row_or_a_value_that_fails_leaves_the_old_file(tmp_path):
    table, content = tmp_path / "a.csv", tmp_path / "a.json"
    write_csv(table, ["n"], [[1]])
    with pytest.raises(ZeroDivisionError):
        write_csv(table, ["n"], ([1 / number] for number in (1, 0)))
    assert table.read_bytes() == b"\xef\xbb\xbfn\r\n1\r\n"
    write_json(content, {"accuracy": 0.5, "labels": ["ä"]})
    with pytest.raises(TypeError):
        write_json(content, {"labels": {1, 2}})
    assert json.loads(content.read_text()) == {"accuracy": 0.5, "labels": ["ä"]}
    assert names(tmp_path) == ["a.csv", "a.json"]


def test_the_checksum_is_the_sha_256_of_the_bytes_and_a_missing_file_has_none(path):
    content = bytes(range(256)) * 10_000  # more than one block
    path.write_bytes(content)
    assert sha256_of(path) == hashlib.sha256(content).hexdigest()
    with pytest.raises(UserError, match=r"cannot read .*nothing: No such file"):
        sha256_of(path.with_name("nothing"))


def test_a_part_of_a_file_has_a_checksum_and_what_follows_is_left_to_read():
    file = BytesIO(b"abcdef")
    assert hash_file(file, 3).hex() == SHA256_OF_ABC
    assert file.read() == b"def"
    assert hash_file(BytesIO(b"abc"), -5) == hash_file(BytesIO(b""))


@pytest.mark.parametrize("name", ["x;=1+1;.png", "\uff1d1+1.png", "a\tb.png", 'c,"d.png', "e.png"])
def test_a_name_is_one_cell_and_no_formula_in_every_country(tmp_path, name):
    write_csv(tmp_path / "a.csv", ["path", "n"], [[name, 0.5]])
    line = (tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()[1]
    for separator in ",;\t":
        [row] = csv.reader([line], delimiter=separator)
        assert not row[0].startswith(("=", "\uff1d"))
    [row] = csv.reader([line])
    assert plain_cell(row[0]) == name
    assert row[1] == "0.5"


def test_what_a_killed_writer_left_is_removed_a_day_later_and_no_planted_link_written_to(path):
    names = ("0a", "1b", os.getpid())
    old, new, link = (path.with_name(f".a.csv.{name}.partial") for name in names)
    for left in (old, new):
        left.write_text("half")
    os.utime(old, (0, 0))
    link.symlink_to(path)
    write_text(path.with_name("a.csv"), "whole")
    assert not old.exists()
    assert new.exists()
    assert path.read_text() == "old"


def test_folders_at_names_of_ours_are_made_and_links_there_refused_while_the_users_is_followed(
    tmp_path,
):
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to("disk")
    make_folder(tmp_path / "out" / "a" / "b", tmp_path / "out")
    make_folder(tmp_path / "new" / "a", tmp_path / "new")
    assert (tmp_path / "disk" / "a" / "b").is_dir()
    (tmp_path / "out" / "a" / "c").symlink_to(tmp_path)
    (tmp_path / "out" / "a" / "d").symlink_to("nowhere")
    (tmp_path / "out" / "a" / "e").touch()
    with pytest.raises(
        UserError, match=rf"cannot write {tmp_path}/out/a/c: it is a link: delete it"
    ):
        make_folder(tmp_path / "out" / "a" / "c" / "x", tmp_path / "out")
    for name in "de":
        with pytest.raises(UserError, match=r"cannot write .*out/a/.: File exists"):
            make_folder(tmp_path / "out" / "a" / name, tmp_path / "out")
    assert not (tmp_path / "x").exists()
