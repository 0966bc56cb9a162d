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


def make_zip(members=IMAGES, *, path="cells.zip", change=None, name=None, compression=8):
    """Write a zip; `change(member)` alters the last member's entry in the central directory."""
    with zipfile.ZipFile(path, "w", compression) as packed:
        for member_name, content in members.items():
            packed.writestr(member_name, content)
        if name is not None:
            member = zipfile.ZipInfo("x")
            # Set afterwards, otherwise ZipInfo would mend the name.
            member.filename = name
            packed.writestr(member, b"evil")
        if change:
            change(packed.filelist[-1])
    return path


def everything_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def assert_refused(place, *reasons):
    """`unpack` says one line with `reasons` and writes nothing anywhere."""
    with pytest.raises(UserError) as caught:
        archive.unpack("cells.zip", "cell_images")
    message = str(caught.value)
    assert message.isprintable()
    for reason in ("cells.zip", *reasons):
        assert reason in message
    assert everything_in(place.parent) == ["place", "place/cells.zip"]


def test_the_top_folder_becomes_the_destination(place):
    archive.unpack(make_zip(), "elsewhere")
    for name, content in IMAGES.items():
        assert Path(name.replace("cell_images", "elsewhere")).read_bytes() == content
    assert sorted(path.name for path in place.iterdir()) == ["cells.zip", "elsewhere"]


def test_the_marker_holds_the_digest_and_the_number_of_files(place):
    archive.unpack(make_zip(), "cell_images")
    digest = hashlib.sha256(Path("cells.zip").read_bytes()).hexdigest()
    marker = json.loads(Path("cell_images/.complete").read_text(encoding="utf-8"))
    assert marker == {"sha256": digest, "files": 3}


@pytest.mark.parametrize(
    "litter",
    [
        "cell_images/Parasitized/Thumbs.db",
        "cell_images/.DS_Store",
        "__MACOSX/cell_images/._C1_a.png",
        "cell_images/.complete",
    ],
)
def test_what_file_managers_leave_behind_is_skipped(place, litter):
    archive.unpack(make_zip({**IMAGES, litter: b"{}"}), "cell_images")
    assert archive.count_files("cell_images") == 3
    assert archive.is_complete("cell_images")
    assert everything_in(place / "cell_images") == [
        ".complete",
        "Parasitized",
        "Parasitized/C1_a.png",
        "Parasitized/C2_b.png",
        "Uninfected",
        "Uninfected/C3_c.png",
    ]


def test_folders_of_their_own_are_no_files(place):
    archive.unpack(make_zip({"cell_images/": b"", "cell_images/Empty/": b"", **IMAGES}), "out")
    assert archive.is_complete("out")


def test_a_folder_is_complete_only_with_its_marker_and_all_its_files(place):
    assert not archive.is_complete("cell_images")
    archive.unpack(make_zip(), "cell_images")
    assert archive.is_complete("cell_images")
    Path("cell_images/.DS_Store").write_bytes(b"the Finder was here")
    assert archive.is_complete("cell_images")
    Path("cell_images/Uninfected/C3_c.png").unlink()
    assert not archive.is_complete("cell_images")


def test_a_marker_that_is_a_pipe_is_not_waited_for(place):
    Path("cell_images").mkdir()
    os.mkfifo("cell_images/.complete")
    assert not archive.is_complete("cell_images")


@pytest.mark.parametrize("marker", ["", "[]", "null", '{"sha256": ""}', "\xff"])
def test_a_marker_that_makes_no_sense_is_no_marker(place, marker):
    Path("cell_images").mkdir()
    Path("cell_images/.complete").write_text(marker, encoding="latin-1")
    assert not archive.is_complete("cell_images")


@pytest.mark.parametrize(
    "name", ["../evil", "cell_images/../../evil", "/tmp/evil", "C:/evil", "C:evil", "..\\evil"]
)
def test_a_member_that_leads_out_of_the_folder_is_refused(place, name):
    make_zip(name=name)
    assert_refused(place, f"member {shorten(name, 200)} is a link or leads elsewhere")


def test_a_link_is_refused(place):
    make_zip(change=lambda member: set_all(member, external_attr=(stat.S_IFLNK | 0o777) << 16))
    assert_refused(place, "member cell_images/Uninfected/C3_c.png is a link or leads elsewhere")


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [({"flag_bits": 1}, "password required"), ({"compress_type": 99}, "not supported")],
)
def test_a_member_that_cannot_be_read_is_refused(place, attributes, reason):
    make_zip(change=lambda member: set_all(member, **attributes))
    assert_refused(place, "expected a whole zip", reason)


def set_all(member, **attributes):
    for name, value in attributes.items():
        setattr(member, name, value)


def test_an_archive_that_is_too_much_is_refused(place, monkeypatch):
    make_zip()
    monkeypatch.setattr(archive, "UNPACKED_LIMIT", 3007)
    assert_refused(place, "expected at most 3007 bytes unpacked, found 3008")


def test_a_member_that_inflates_to_more_than_it_says_is_refused(place):
    bomb = {**IMAGES, "cell_images/Uninfected/bomb.png": bytes(2**20)}
    make_zip(bomb, change=lambda member: set_all(member, file_size=5))
    assert_refused(place, "bomb.png")


@pytest.mark.parametrize(
    ("members", "found"),
    [
        ({}, "no files"),
        ({"__MACOSX/a": b""}, "no files"),
        ({"a.png": b""}, "a.png"),
        ({"a/1.png": b"", "b/1.png": b""}, "a, b"),
        ({"a/1.png": b"", "readme.txt": b""}, "a, readme.txt"),
    ],
)
def test_an_archive_without_exactly_one_top_folder_is_refused(place, members, found):
    make_zip(members)
    assert_refused(place, f"expected one top folder, found: {found}")


def test_what_is_no_zip_is_refused(place):
    Path("cells.zip").write_text("<html>Please log in</html>")
    assert_refused(place, "expected a whole zip", "get it again")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, partial(os.symlink, "/dev/zero")])
@pytest.mark.parametrize("start", ["unpack", "digest", "copy", "COPY"])
def test_an_archive_that_might_never_end_is_refused(place, capsys, make, start):
    make("cells.zip")
    shown = f"{place}/cells.zip" if start.lower() == "copy" else "cells.zip"
    arguments = {
        "unpack": ["unpack", "cells.zip", "cell_images", "0"],
        "digest": ["digest", "cells.zip"],
        "copy": ["copy", f"file://localhost{shown}", "part"],
        "COPY": ["copy", f"FILE://{shown}", "part"],
    }
    assert run_script(main, arguments[start]) == 1
    error = f"error: {shown} is not a regular file: expected a zip\n"
    assert capsys.readouterr() == ("", error)
    assert everything_in(place) == ["cells.zip"]


def test_a_truncated_zip_is_refused(place):
    content = Path(make_zip()).read_bytes()
    Path("cells.zip").write_bytes(content[:-30])
    assert_refused(place, "expected a whole zip")


def test_a_damaged_image_leaves_nothing(place):
    content = Path(make_zip(compression=zipfile.ZIP_STORED)).read_bytes()
    Path("cells.zip").write_bytes(content.replace(b"three", b"thxee"))
    assert_refused(place, "expected a whole zip", "CRC", "C3_c.png")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_are_one_on_this_disk_do_not_become_one_image(place):
    make_zip(name="cell_images/Uninfected/C3_c.png")
    assert_refused(place, "cannot unpack", "names of two files are one on this disk")


def test_a_name_that_is_a_file_and_a_folder_is_refused(place):
    make_zip({"cell_images/a": b"a file", "cell_images/a/b": b"in a folder"})
    assert_refused(place, "cannot unpack", "cell_images/a/b")


def test_a_full_disk_leaves_nothing(place, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    make_zip()
    monkeypatch.setattr(shutil, "copyfileobj", fail)
    assert_refused(place, "cannot unpack", "No space left on device")


def test_ctrl_c_leaves_nothing(place, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    make_zip()
    monkeypatch.setattr(shutil, "copyfileobj", interrupt)
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
    assert everything_in(place) == [
        ".cell_images.partial",
        ".cell_images.partial/theirs.png",
        "cells.zip",
    ]


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
    assert not Path("cell_images/Stray").exists()
    assert not Path(".cell_images.partial").exists()


def test_a_link_in_place_of_the_partial_folder_is_not_followed(place):
    precious = place / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    Path(".cell_images.partial").symlink_to(precious)
    with pytest.raises(UserError, match="cannot unpack"):
        archive.unpack(make_zip(), "cell_images")
    assert everything_in(precious) == ["thesis.txt"]


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


def test_the_command_unpacks_what_has_the_digest_and_counts_each_label(place, capsys):
    make_zip()
    assert run_script(main, ["digest", "cells.zip"]) == 0
    digest = capsys.readouterr().out.strip().upper()
    assert run_script(main, ["check", "cell_images"]) == 1
    command = ["unpack", "cells.zip", "cell_images", digest]
    assert run_script(main, command) == 0
    assert run_script(main, ["check", "cell_images"]) == 0
    assert capsys.readouterr() == ("cell_images/: 2 Parasitized, 1 Uninfected\n", "")


def test_the_command_reports_a_missing_archive_in_one_line(place, capsys):
    assert run_script(main, ["unpack", "none.zip", "cell_images", "0"]) == 1
    message = capsys.readouterr().err
    assert message.startswith("error: cannot unpack none.zip")
    assert message.count("\n") == 1


@pytest.mark.skipif(sys.platform == "darwin", reason="its names are all UTF-8")
def test_the_command_copies_a_file_whose_name_is_no_text(place):
    Path(os.fsdecode(b"a \xff%.zip")).write_bytes(b"zip")
    assert run_script(main, ["copy", f"FILE://localhost{place}/a%20%ff%25.zip", "part"]) == 0
    assert Path("part").read_bytes() == b"zip"


def test_a_file_that_is_not_there_is_not_copied(place, capsys):
    assert run_script(main, ["copy", f"file://{place}/none.zip", "part"]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: cannot copy file://{place}/none.zip: ")
    assert error.count("\n") == 1


def test_the_command_does_not_copy_a_file_onto_itself(place, capsys):
    Path("part").write_bytes(b"precious")
    assert run_script(main, ["copy", f"file://{place}/part", "part"]) == 1
    assert "same file" in capsys.readouterr().err
    assert Path("part").read_bytes() == b"precious"


def test_a_lock_whose_file_was_just_removed_is_no_lock(place, capsys, monkeypatch):
    with open("lock", "w+") as file:
        Path("lock").unlink()
        monkeypatch.setattr(command, "LOCK_FILE", file.fileno())
        assert run_script(main, ["lock", "lock"]) == 1
    assert "by a process that has just ended: run again" in capsys.readouterr().err
    assert everything_in(place) == []
