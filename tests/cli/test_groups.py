"""Tests of malaria/cli/groups.py: patients and folders of several inputs are not mixed up."""

from pathlib import Path

import pytest
from plain_network import PlainNetwork

from malaria.base.patterns import Pattern
from malaria.cli.groups import Groups
from malaria.cli.inputs import Inputs
from malaria.cli.options import parse
from malaria.inference.classifier import Classifier
from malaria.pictures.images import PixelFormat
from malaria.saved.metadata import Metadata

PATHS = ("ward1/C1a.png", "ward2/C1b.png", "ward2/cells/C2a.png", "ward1/cells/x.png")


@pytest.fixture
def group(tmp_path, monkeypatch):
    """A function: (the group of each of PATHS, the notes) for what --image names."""
    monkeypatch.chdir(tmp_path)
    for path in map(Path, PATHS):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    Path("all").mkdir()
    Path("all/list.txt").write_text("\n".join(PATHS))
    Path("all/table.csv").write_text("path,patient\n" + "\n".join(f"{path},P" for path in PATHS))
    metadata = Metadata(("A", "B"), "A", PixelFormat((9, 7)))
    classifier = Classifier(metadata, PlainNetwork(lambda images: images[:, :1, 0, 0]))

    def find(*arguments):
        options = parse(["--image", *arguments])
        groups = Groups(options, classifier, Inputs(options.image))
        return [groups.find(Path(path)) for path in PATHS], groups.notes

    return find


def test_patients_of_several_folders_are_kept_apart_and_that_is_told(group):
    found, notes = group("ward1", "ward2")
    assert found == ["ward1:1", "ward2:1", "ward2:2", None]
    assert notes == [
        "1 patients have one name in several folders, as ward1:1 and ward2:1, and are counted "
        "apart: if they are the same people, name the folder above, or a .csv with the columns "
        "path and patient"
    ]


@pytest.mark.parametrize("names", [["."], ["@all/list.txt"], PATHS], ids=["one", "list", "images"])
def test_patients_of_one_folder_of_a_list_and_of_images_are_known_by_their_names(group, names):
    assert group(*names) == (["1", "1", "2", None], [])


def test_what_a_list_or_a_pattern_says_stays_as_it_is(group):
    assert group("all/table.csv") == (["P"] * 4, [])
    assert group("ward1", "ward2", "--group_by=C(.)") == (["1", "1", "2", None], [])
    assert parse(["--image=a", "--group_by=C(.)"]).group_by == Pattern("C(.)")


def test_folders_of_one_name_in_two_places_are_two_groups(group):
    by_name = ["ward1", "ward2", "ward2/cells", "ward1/cells"]
    for names in (["ward1", "ward2"], ["."], ["@all/list.txt"], PATHS):
        assert group(*names, "--group_by=folder") == (by_name, [])
    found, _ = group("ward2", "--group_by=folder")
    assert found[1:3] == ["ward2", "cells"]
