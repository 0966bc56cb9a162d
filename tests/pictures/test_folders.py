"""Tests of malaria/pictures/folders.py."""

import os

import pytest
from PIL import Image

from malaria.base.errors import UserError
from malaria.pictures.decode import FORMATS
from malaria.pictures.folders import find_images, sub_folders
from malaria.pictures.images import open_image
from malaria.pictures.limits import is_image_name
from malaria.pictures.passed_over import PassedOver


@pytest.mark.parametrize(
    ("name", "is_picture"),
    [("a.png", True), ("A.PNG", True), ("b.Jpeg", True), ("c.JPG", True), ("d.TIF", True),
     ("e.tiff", True), ("f.bmp", True), ("g.webp", True), ("Thumbs.db", False), ("a.gif", True),
     ("png", False), ("a.png.txt", False), ("", False)],
)  # fmt: skip
def test_the_ending_in_any_case_tells_an_image(name, is_picture):
    assert is_image_name(name) is is_picture


def found(folder):
    return [str(path.relative_to(folder)) for path in find_images(folder)]


def touch(folder, *names):
    for name in names:
        path = folder / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_images_are_found_in_all_folders_sorted_by_name(tmp_path):
    names = ["b.png", "a.JPG", "Thumbs.db", "notes.txt", "z/2.png", "z/10.png", "y/x/w/1.bmp"]
    touch(tmp_path, *names, "empty/nothing.txt")
    assert found(tmp_path) == ["a.JPG", "b.png", "y/x/w/1.bmp", "z/10.png", "z/2.png"]


def test_names_of_every_sort_are_found_and_read(tmp_path):
    odd = "Zelle \u00e4 \u5bc4\u751f.png".encode()
    names = [b"a b.png", odd, b"byte\xff.png", b"line\n.png", b"-x.png"]
    for name in names:
        Image.new("RGB", (3, 2)).save(tmp_path / os.fsdecode(name))
    paths = list(find_images(tmp_path))
    assert {os.fsencode(path.name) for path in paths} == set(names)
    for path in paths:
        assert open_image(path).size == (3, 2)


@pytest.mark.parametrize("kind", FORMATS)
def test_an_image_with_another_ending_or_none_is_told_by_its_first_bytes(tmp_path, kind):
    for name in ("image", "image.dat"):
        Image.new("RGB", (300, 200)).save(tmp_path / name, kind)
    (tmp_path / "text").write_bytes(b"BM may begin a text, as a .bmp")
    assert found(tmp_path) == ["image", "image.dat"]


def test_links_are_followed_but_each_real_folder_and_file_once(tmp_path):
    touch(tmp_path, "cells/1.png", "cells/deep/2.png", "elsewhere/3.png")
    (tmp_path / "cells" / "deep" / "up").symlink_to(tmp_path / "cells")
    (tmp_path / "cells" / "self").symlink_to(".")
    (tmp_path / "cells" / "other").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "cells" / "same").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "cells" / "file.png").symlink_to(tmp_path / "elsewhere" / "3.png")
    assert found(tmp_path / "cells") == ["1.png", "file.png", "deep/2.png"]


def test_a_link_that_leads_nowhere_does_not_stop_the_others(tmp_path):
    touch(tmp_path, "a.png", "z.png")
    (tmp_path / "gone.png").symlink_to("nowhere")
    (tmp_path / "round.png").symlink_to("round.png")
    (tmp_path / "folder").symlink_to("nowhere")
    assert found(tmp_path) == ["a.png", "gone.png", "round.png", "z.png"]


def test_a_folder_is_listed_only_when_its_turn_comes(tmp_path):
    touch(tmp_path, "a.png", "z/1.png")
    paths = find_images(tmp_path)
    assert next(paths).name == "a.png"
    touch(tmp_path, "z/0.png")
    assert [path.name for path in paths] == ["0.png", "1.png"]


@pytest.mark.parametrize(
    ("name", "reason"), [("none", "No such file or directory"), ("a.png", "Not a directory")]
)
def test_what_is_no_folder_cannot_be_listed(tmp_path, name, reason):
    touch(tmp_path, "a.png")
    with pytest.raises(UserError, match=f"cannot list the folder .*{name}: {reason}"):
        list(find_images(tmp_path / name))


def test_the_folders_in_a_folder_are_named_in_order(tmp_path):
    touch(tmp_path, "b/c/1.png", "a/1.png", "file.png")
    assert sub_folders(tmp_path) == sub_folders(str(tmp_path)) == ["a", "b"]


def test_a_file_that_links_lead_to_comes_once_and_how_often_it_came_again_is_counted(tmp_path):
    touch(tmp_path, "cells/b.png", "cells/x/c.png", "else/d", ".git/e")
    for name, target in (
        ("a", "b"), ("c", "b"), ("to_x", "x/c"), ("x/z", "c"), ("gone", "nowhere"),
    ):  # fmt: skip
        (tmp_path / "cells" / f"{name}.png").symlink_to(tmp_path / "cells" / f"{target}.png")
    for name, target in (("d1", "else/d"), ("d2", "else/d"), ("e1", ".git/e"), ("x/e2", ".git/e")):
        (tmp_path / "cells" / f"{name}.png").symlink_to(tmp_path / target)
    passed_over = PassedOver()
    names = [str(p.relative_to(tmp_path)) for p in find_images(tmp_path / "cells", passed_over)]
    # What a link leads to is taken where it lies, even if it comes later.
    assert names == [f"cells/{name}.png" for name in ("b", "d1", "e1", "gone", "x/c")]
    assert passed_over.again == 6


def test_a_thousand_folders_in_one_another_are_gone_through_at_once(tmp_path, monkeypatch):
    def resolve(path):
        raise AssertionError("each takes as many looks as the folder is deep")

    touch(tmp_path, "/".join(["d"] * 300) + "/a.png")
    monkeypatch.setattr(os.path, "realpath", resolve)
    assert len(found(tmp_path)) == 1
