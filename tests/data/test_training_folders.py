"""Folders to learn from: what is wrong with them, and whose images they hold."""

from collections import Counter

import pytest

from malaria.data.dataset import LABELS, PATIENT_PATTERN
from malaria.data.training_folders import TrainingFolder, find_problems, name_of


def one(folder, name="a", **known):
    return TrainingFolder(str(folder), name, PATIENT_PATTERN, **known)


def several(**folders):
    return [one(folder, name, is_one_of_several=True) for name, folder in folders.items()]


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_a_good_folder_has_no_problems_and_exactly_enough_images_are_enough(write_cells):
    folder = write_cells()
    assert find_problems([one(folder)], LABELS, None) == {}
    assert find_problems([one(folder)], LABELS, 4) == {}
    assert find_problems([one(folder)], LABELS, 5) == {
        "train_size": "received 5 images per label, but there are only "
        "{'Parasitized': 4, 'Uninfected': 4}"
    }


NO_FOLDER = "no folder {folder}; run download.sh, or name another folder"
KINDS = (
    ".png, .jpg, .jpeg, .jfif, .bmp, .tif, .tiff, .webp, .gif, .dcm, .dicom, .heic, .heif or .hif"
)
GOOD = ("Parasitized/a.png", "Uninfected/a.png")


@pytest.mark.parametrize(
    ("make", "key", "problem"),
    [
        ([], "train_images", NO_FOLDER),
        (["Parasitised/a.png", "Uninfected/a.png"], "labels", "no folder for Parasitized in "
         "{folder}; the folders there: ['Parasitised', 'Uninfected']; did you mean Parasitised?"),
        (["x1/a.png", "x2/a.png"], "labels",
         "no folder for Parasitized, Uninfected in {folder}; the folders there: ['x1', 'x2']"),
        (["Parasitized/a.png", "Uninfected/Thumbs.db"], "train_images",
         "no images of Uninfected in {folder}: expected " + KINDS),
    ],
)  # fmt: skip
def test_each_problem_of_a_folder_names_its_setting(tmp_path, make, key, problem):
    folder = touch(tmp_path / "cells", *make)
    assert find_problems([one(folder)], LABELS, None) == {key: problem.format(folder=folder)}


def test_one_of_several_may_lack_a_label(tmp_path):
    first = touch(tmp_path / "x", *GOOD)
    second = touch(tmp_path / "y", "Uninfected/a.png")
    assert find_problems(several(x=first, y=second), LABELS, None) == {}
    assert find_problems([one(second)], LABELS, None).keys() == {"labels"}


@pytest.mark.parametrize(
    ("names", "key", "problem"),
    [
        ([], "train_images", NO_FOLDER),
        (["other/a.png"], "labels", "no folder for {labels} in {folder}; the folders there: "
         "['other']"),
        (["Uninfected/Thumbs.db"], "train_images", "no images of {labels} in {folder}: expected "
         + KINDS),
    ],
)  # fmt: skip
def test_one_of_several_without_any_label_is_refused(tmp_path, names, key, problem):
    good, bad = touch(tmp_path / "x", *GOOD), touch(tmp_path / "y", *names)
    text = problem.format(folder=bad, labels=", ".join(LABELS))
    assert find_problems(several(x=good, y=bad), LABELS, None) == {key: text}


def test_a_label_that_none_of_several_has_is_named(tmp_path):
    folders = {name: touch(tmp_path / name, "Uninfected/a.png") for name in ("x", "y")}
    assert find_problems(several(**folders), LABELS, None) == {
        "labels": "no images of Parasitized in any of the train_images"
    }


def test_images_of_several_folders_are_counted_together(tmp_path):
    folders = {name: touch(tmp_path / name, *GOOD) for name in ("x", "y")}
    assert find_problems(several(**folders), LABELS, 2) == {}
    assert find_problems(several(**folders), LABELS, 3).keys() == {"train_size"}


def test_a_patient_of_one_laboratory_is_not_the_one_of_that_number_in_another(write_cells):
    folder = write_cells(patients=(1,), count=1)
    sources = [*several(x=folder, y=folder), one(folder)]
    samples = [sample for source in sources for sample in source.scan(LABELS, Counter())]
    assert [one.patient for one in samples] == ["x:1", "x:1", "y:1", "y:1", "1", "1"]
    assert [one.source for one in samples] == list("xxyyaa")


@pytest.mark.parametrize("folder", ["data/txl", "data/txl/", "./data/../data/txl"])
def test_a_source_without_a_name_is_called_as_its_folder(folder):
    assert name_of(folder) == "txl"
