"""Tests of malaria/pictures/same_file.py."""

import os
import random

from malaria.pictures.remote_path import to_path
from malaria.pictures.same_file import Seen, file_number


def test_a_file_has_one_number_by_every_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").touch()
    (tmp_path / "b.png").touch()
    (tmp_path / "link.png").symlink_to("a.png")
    os.link("a.png", "hard.png")
    names = ["a.png", "./a.png", str(tmp_path / "a.png"), "link.png", "hard.png"]
    assert len({file_number(to_path(name)) for name in names}) == 1
    others = ["b.png", "gone.png", "gone2.png", "\0"]
    assert len({file_number(to_path(name)) for name in names + others}) == 5
    assert file_number(to_path("./gone.png")) == file_number(to_path(str(tmp_path / "gone.png")))


def test_an_image_of_another_machine_is_told_by_its_name_as_people_read_it():
    def differ(*urls):
        return len({file_number(to_path(url)) for url in urls})

    assert (
        differ("https://host/a%20b.png", "HTTPS://Host/a b.png", "https://host//a%20b.png#x") == 1
    )
    assert differ("https://host/a.png", "https://host/a.png?x", "https://host/a.png%3Fx") == 3
    assert differ("s3://b/a.png", "s3://b//a.png", "s3://b/A.png", "s3://b/a%20.png") == 4


def test_many_numbers_are_kept_apart_in_little_memory():
    dice, seen = random.Random(1), Seen()
    known = {2**64 - 1, *(dice.getrandbits(64) for _ in range(5000)), *range(1, 1000)}
    assert all(map(seen.add, known))
    assert not any(map(seen.add, known))
    assert not seen.add(-1)
    assert not seen.add(0)
    assert 12 * len(known) < seen._slots.itemsize * len(seen._slots) < 24 * len(known)
