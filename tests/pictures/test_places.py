"""Tests of malaria/pictures/places.py: no two images share the name of what is written of them."""

import os
from pathlib import Path

import pytest

from malaria.pictures.places import LONGEST, Places, UniqueNames
from malaria.pictures.remote_path import to_path


def written(paths, folders=(), others=()):
    places, names = Places(map(to_path, folders), map(to_path, others)), UniqueNames()
    found = []
    for path in map(to_path, paths):
        below = places.folders_of(path)
        found.append("/".join((*below, names.find(path.name, path, below))))
    return found


@pytest.mark.parametrize(
    ("folders", "paths", "expected"),
    [
        (["cells"], ["cells/a.png", "cells/b/c/a.png"], ["a.png", "b/c/a.png"]),
        (["one", "two"], ["one/a.png", "two/a.png"], ["one/a.png", "two/a.png"]),
        (["x/d", "y/d"], ["x/d/a.png", "y/d/b/a.png"], ["x/d/a.png", "y/d/b/a.png"]),
        (["one", "one/two"], ["one/a.png", "one/two/a.png"], ["a.png", "two/a.png"]),
        (["one", "two"], ["./one/../one/a.png"], ["one/a.png"]),
        (["https://h/a/", "https://h/b/"], ["https://h/b/c.png"], ["b/c.png"]),
        (["https://h:80/a", "s3://a"], ["https://h:80/a/b.png"], ["h:80/a/b.png"]),
        (["s3://b"], ["s3://b/x/../../y.png"], ["x/y.png"]),
    ],
)
def test_folders_are_told_apart_by_as_much_of_their_names_as_they_do_not_share(
    folders, paths, expected
):
    assert written(paths, folders) == expected


@pytest.mark.parametrize(
    ("others", "paths", "expected"),
    [
        (["a/x.png"], ["a/x.png"], ["x.png"]),
        (["a/x.png", "b/x.png"], ["a/x.png", "b/x.png"], ["a/x.png", "b/x.png"]),
        (["list.csv"], ["ward/a.png", "/etc/a.png"], ["ward/a.png", "etc/a.png"]),
        (["lists/list.csv"], ["lists/w/a.png", "w/a.png"], ["w/a.png", "w/a.png_"]),
        (["s3://b/list.txt"], ["s3://b/w/a.png", "s3://c/w/a.png"], ["w/a.png", "c/w/a.png"]),
        (["-"], ["ward/a.png", "../a.png"], ["ward/a.png", f"{Path.cwd().parent}/a.png"[1:]]),
    ],
)
def test_images_and_what_lists_name_have_their_own_folders(others, paths, expected):
    found = written(paths, others=others)
    assert [name[: len(start)] for name, start in zip(found, expected, strict=True)] == expected
    assert len(set(found)) == len(found)


def test_names_are_unlike_where_the_disk_does_not_tell_large_from_small_letters():
    paths = ["c/A.png", "c/a.png", "c/ä.png", "c/a\u0308.png", "C/a.png", "c/d.png?1", "c/d.png?2"]
    found = written([f"https://h/{path}" for path in paths], ["https://h/"])
    assert found[0] == "c/A.png"
    assert len({name.casefold() for name in found}) == len(paths)


def test_the_same_image_has_the_same_name_again_and_long_names_fit_on_a_disk():
    long = [f"{'é' * 120}{end}.png" for end in "ab"]
    first, *again = [written([*long, "a.png", "a.png"]) for _ in range(2)]
    assert again == [first]
    assert first[2] == first[3]
    assert first[0] != first[1]
    assert all(len(os.fsencode(name)) <= LONGEST for name in first)
    [deep] = written([f"https://h/{'x' * 2000}/a.png"], ["https://h/"])
    assert max(map(len, deep.split("/"))) <= LONGEST


@pytest.mark.parametrize("name", ["..", "../../a.png", "x/../../a.png", "/etc/passwd"])
def test_no_name_leads_out_of_the_folder(name):
    for start in ("", "s3://b/", "s3://b/\0"):
        [found] = written([start + name], ["cells"])
        assert ".." not in found.split("/")[:-1]
        assert "\0" not in found
        assert not found.startswith("/")
