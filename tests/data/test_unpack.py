"""Tests of malaria/data/unpack.py and cli/archive.py: what is unpacked, and what is refused."""

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import stat
import sys
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import pytest

from malaria.base.errors import UserError
from malaria.base.lock import locked
from malaria.base.text import shorten
from malaria.cli import archive as command
from malaria.cli.archive import main
from malaria.cli.command import run_script
from malaria.data import unpack as archive

IMAGES = {
    "cell_images/Parasitized/C1_a.png": b"one",
    "cell_images/Parasitized/C2_b.png": b"two" * 1000,
    "cell_images/Uninfected/C3_c.png": b"three",
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder inside tmp_path to work in, so that escapes would be seen beside it."""
    folder = tmp_path / "place"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def make_zip(members=IMAGES, *, path="cells.zip", name=None, compression=8, **attributes):
    """Write a zip; `attributes` are of the last member's entry in the central directory."""
    with zipfile.ZipFile(path, "w", compression) as packed:
        for member_name, content in members.items():
            packed.writestr(member_name, content)
        if name is not None:
            member = zipfile.ZipInfo("x")
            # Set afterwards, otherwise ZipInfo would mend the name.
            member.filename = name
            packed.writestr(member, b"evil")
        for key, value in attributes.items():
            setattr(packed.filelist[-1], key, value)
    return path


def everything_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def assert_refused(place, *reasons):
    """`unpack` says one line with `reasons` and writes nothing anywhere."""
    with pytest.raises(UserError) as caught:
        archive.unpack("cells.zip", "cell_images")
    assert str(caught.value).isprintable()
    assert all(reason in str(caught.value) for reason in ("cells.zip", *reasons))
    assert everything_in(place.parent) == ["place", "place/cells.zip"]


def test_the_top_folder_becomes_the_destination_with_a_marker(place):
    archive.unpack(make_zip(), "elsewhere")
    for name, content in IMAGES.items():
        assert Path(name.replace("cell_images", "elsewhere")).read_bytes() == content
    assert sorted(path.name for path in place.iterdir()) == ["cells.zip", "elsewhere"]
    digest = hashlib.sha256(Path("cells.zip").read_bytes()).hexdigest()
    marker = json.loads(Path("elsewhere/.complete").read_text(encoding="utf-8"))
    assert marker == {"sha256": digest, "files": 3}


def test_what_file_managers_leave_behind_is_skipped(place):
    litter = ["cell_images/Parasitized/Thumbs.db", "cell_images/.DS_Store", "cell_images/.complete"]
    litter.append("__MACOSX/cell_images/._C1_a.png")
    archive.unpack(make_zip(IMAGES | dict.fromkeys(litter, b"{}")), "cell_images")
    assert archive.count_files("cell_images") == 3
    assert archive.is_complete("cell_images")
    folders = ["cell_images/Parasitized", "cell_images/Uninfected"]
    names = sorted(["cell_images/.complete", *folders, *IMAGES])
    assert everything_in(place) == ["cell_images", *names, "cells.zip"]


def test_a_folder_is_complete_only_with_its_marker_and_all_its_files(place):
    assert not archive.is_complete("cell_images")
    folders = {"cell_images/": b"", "cell_images/Empty/": b""}
    archive.unpack(make_zip({**folders, **IMAGES}), "cell_images")
    assert archive.is_complete("cell_images")
    Path("cell_images/.DS_Store").write_bytes(b"the Finder was here")
    assert archive.is_complete("cell_images")
    Path("cell_images/Uninfected/C3_c.png").unlink()
    assert not archive.is_complete("cell_images")


@pytest.mark.parametrize("marker", ["", "[]", "null", '{"sha256": ""}', "\xff", None])
def test_a_marker_that_makes_no_sense_or_is_a_pipe_is_no_marker(place, marker):
    Path("cell_images").mkdir()
    if marker is None:
        os.mkfifo("cell_images/.complete")
    else:
        Path("cell_images/.complete").write_text(marker, encoding="latin-1")
    assert not archive.is_complete("cell_images")


ELSEWHERE = "member {} is a link or leads elsewhere"
WHOLE, TOP = "expected a whole zip", "expected one top folder, found: "
LINK = (stat.S_IFLNK | 0o777) << 16
BOMB = {**IMAGES, "cell_images/Uninfected/bomb.png": bytes(2**20)}


@pytest.mark.parametrize(
    ("arguments", "reasons"),
    [
        *[
            ({"name": name}, [ELSEWHERE.format(shorten(name, 200))])
            for name in ("../evil", "cell_images/../../evil", "/tmp/evil", "C:/evil", "C:evil",
                         "..\\evil")
        ],
        ({"external_attr": LINK}, [ELSEWHERE.format("cell_images/Uninfected/C3_c.png")]),
        ({"flag_bits": 1}, [WHOLE, "password required"]),
        ({"compress_type": 99}, [WHOLE, "not supported"]),
        ({"members": BOMB, "file_size": 5}, ["bomb.png"]),
        ({"members": {}}, [f"{TOP}no files"]),
        ({"members": {"__MACOSX/a": b""}}, [f"{TOP}no files"]),
        ({"members": {"a.png": b""}}, [f"{TOP}a.png"]),
        ({"members": {"a/1.png": b"", "b/1.png": b""}}, [f"{TOP}a, b"]),
        ({"members": {"a/1.png": b"", "readme.txt": b""}}, [f"{TOP}a, readme.txt"]),
        ({"name": "cell_images/Uninfected/C3_c.png"},
         ["cannot unpack", "names of two files are one on this disk"]),
        ({"members": {"cell_images/a": b"", "cell_images/a/b": b""}},
         ["cannot unpack", "cell_images/a/b"]),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_hostile_or_odd_archive_is_refused_and_leaves_nothing(place, arguments, reasons):
    make_zip(**arguments)
    assert_refused(place, *reasons)


def test_an_archive_that_is_too_much_is_refused(place, monkeypatch):
    make_zip()
    monkeypatch.setattr(archive, "UNPACKED_LIMIT", 3007)
    assert_refused(place, "expected at most 3007 bytes unpacked, found 3008")


@pytest.mark.parametrize(
    ("damage", "reasons"),
    [
        (lambda content: b"<html>Please log in</html>", ["get it again"]),
        (lambda content: content[:-30], []),
        (lambda content: content.replace(b"three", b"thxee"), ["CRC", "C3_c.png"]),
    ],
    ids=["no zip", "truncated", "changed"],
)
def test_a_damaged_archive_is_refused(place, damage, reasons):
    content = Path(make_zip(compression=zipfile.ZIP_STORED)).read_bytes()
    Path("cells.zip").write_bytes(damage(content))
    assert_refused(place, WHOLE, *reasons)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, partial(os.symlink, "/dev/zero")])
@pytest.mark.parametrize(
    "command",
    ["unpack {} cell_images 0", "digest {}", "copy file://localhost{} part", "copy FILE://{} part"],
)
def test_an_archive_that_might_never_end_is_refused(place, capsys, make, command):
    make("cells.zip")
    shown = f"{place}/cells.zip" if "://" in command else "cells.zip"
    assert run_script(main, [word.format(shown) for word in command.split()]) == 1
    error = f"error: {shown} is not a regular file: expected a zip\n"
    assert capsys.readouterr() == ("", error)
    assert everything_in(place) == ["cells.zip"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_a_full_disk_or_ctrl_c_leaves_nothing(place, monkeypatch, error):
    make_zip()
    monkeypatch.setattr(shutil, "copyfileobj", Mock(side_effect=error))
    if isinstance(error, OSError):
        assert_refused(place, "cannot unpack", "No space left")
    else:
        with pytest.raises(KeyboardInterrupt):
            archive.unpack("cells.zip", "cell_images")
    assert everything_in(place) == ["cells.zip"]


def test_what_another_process_unpacks_is_not_touched(place):
    Path(".cell_images.partial").mkdir()
    Path(".cell_images.partial/theirs.png").write_bytes(b"theirs")
    make_zip()
    with (
        locked(Path(".cell_images.lock"), "it"),
        pytest.raises(UserError, match=f"cell_images is being unpacked by process {os.getpid()}"),
    ):
        archive.unpack("cells.zip", "cell_images")
    theirs = [".cell_images.partial", ".cell_images.partial/theirs.png"]
    assert everything_in(place) == [*theirs, "cells.zip"]


def test_what_another_process_has_just_unpacked_is_not_touched(place, monkeypatch):
    @contextlib.contextmanager
    def locked_late(*_):
        Path("cell_images").mkdir()
        yield

    make_zip()
    monkeypatch.setattr(archive, "locked", locked_late)
    with pytest.raises(UserError, match="cell_images exists"):
        archive.unpack("cells.zip", "cell_images")
    assert everything_in(place) == ["cell_images", "cells.zip"]


def test_of_two_that_unpack_at_once_one_does_it_all(place):
    make_zip({f"cell_images/P/{number}.png": b"cell" for number in range(300)})
    both = threading.Barrier(2)

    def try_once(_):
        both.wait()
        with contextlib.suppress(UserError):
            archive.unpack("cells.zip", "cell_images")
            return "done"

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(try_once, range(2)), key=str) == [None, "done"]
    assert archive.is_complete("cell_images")
    assert everything_in(place)[:2] == ["cell_images", "cell_images/.complete"]


def test_what_an_earlier_try_left_is_no_part_of_the_result(place):
    Path(".cell_images.partial/Stray").mkdir(parents=True)
    Path(".cell_images.partial/Stray/old.png").write_bytes(b"old")
    archive.unpack(make_zip(), "cell_images")
    assert archive.is_complete("cell_images")
    assert not {"cell_images/Stray", ".cell_images.partial"} & {*everything_in(place)}


def test_a_link_in_place_of_the_partial_folder_is_not_followed(place):
    Path("precious").mkdir()
    Path("precious/thesis.txt").write_text("years of work")
    Path(".cell_images.partial").symlink_to("precious")
    with pytest.raises(UserError, match="cannot unpack"):
        archive.unpack(make_zip(), "cell_images")
    assert everything_in(place / "precious") == ["thesis.txt"]


def test_an_existing_destination_is_never_touched(place):
    Path("cell_images").mkdir()
    Path("cell_images/mine.png").write_bytes(b"mine")
    with pytest.raises(UserError, match="cell_images exists: expected a new folder"):
        archive.unpack(make_zip(), "cell_images")
    assert everything_in(place / "cell_images") == ["mine.png"]


def test_another_digest_than_the_expected_is_refused(place):
    make_zip()
    with pytest.raises(UserError, match=re.escape(f"expected SHA-256 {'0' * 64}, received ")):
        archive.unpack("cells.zip", "cell_images", sha256="0" * 64)
    assert everything_in(place) == ["cells.zip"]


@pytest.mark.skipif(sys.platform == "darwin", reason="its names are all UTF-8")
def test_the_command_copies_a_file_whose_name_is_no_text(place):
    Path(os.fsdecode(b"a \xff%.zip")).write_bytes(b"zip")
    assert run_script(main, ["copy", f"FILE://localhost{place}/a%20%ff%25.zip", "part"]) == 0
    assert Path("part").read_bytes() == b"zip"


def test_the_command_says_in_one_line_what_it_cannot_unpack_or_copy(place, capsys):
    Path("part").write_bytes(b"precious")
    for arguments, error, reason in (
        (["unpack", "none.zip", "cell_images", "0"], "unpack none.zip", ""),
        (["copy", f"file://{place}/none.zip", "part"], f"copy file://{place}/none.zip: ", ""),
        (["copy", f"file://{place}/part", "part"], "copy file://", "same file"),
    ):
        assert run_script(main, arguments) == 1
        said = capsys.readouterr().err
        assert said.startswith(f"error: cannot {error}")
        assert reason in said
        assert said.count("\n") == 1
    assert Path("part").read_bytes() == b"precious"


def test_a_lock_whose_file_was_just_removed_is_no_lock(place, capsys, monkeypatch):
    with open("lock", "w+") as file:
        Path("lock").unlink()
        monkeypatch.setattr(command, "LOCK_FILE", file.fileno())
        assert run_script(main, ["lock", "lock"]) == 1
    assert "by a process that has just ended: run again" in capsys.readouterr().err
    assert everything_in(place) == []
