"""Tests of malaria/dataset.py."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from malaria.config import Config
from malaria.dataset import (
    Sample,
    choose_samples,
    count_samples,
    find_patient,
    find_problems,
    scan_folder,
    split_samples,
)
from malaria.errors import UserError

PATTERN = Config().patient_pattern
LABELS = ("Parasitized", "Uninfected")


def draw_samples(cells, labels=2):
    """Samples of the patients 1, 2, ...; cells(patient, label) says how many each has."""
    return [
        Sample(Path(f"{label}/C{patient}P1_{number}.png"), label, str(patient))
        for label in range(labels)
        for patient in range(1, 11)
        for number in range(cells(patient, label))
    ]


SAMPLES = draw_samples(lambda patient, label: patient % 3 + 1 + label)


def patients(samples, indices):
    return {int(samples[index].patient) for index in indices}


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("C33P1thinF_IMG_20150619_114756a_cell_179.png", "33"),
        ("C1_thinF_IMG_20150604_104919_cell_82.png", "1"),
        ("C100P61ThinF_IMG_20150918_144348_cell_10.png", "100"),
        ("C139P100NThinF_IMG_20151005_211735_cell_1.png", "139"),
        ("C84P45ThinF_IMG_20150818_101257_cell_98.png", "84"),
        ("C118P79ReThinF_IMG_20151002_105735_cell_7.png", "118"),
        ("C37BP2_thinF_IMG_20150620_131850a_cell_76.png", "37"),
        ("C51AP12thinF_IMG_20150724_153742_cell_59.png", "51"),
        ("cell_C33.png", None),
        ("c33P1.png", None),
        ("CP1.png", None),
    ],
)
def test_the_patient_is_the_number_after_c(name, patient):
    assert find_patient(name, re.compile(PATTERN)) == patient


def test_two_spellings_of_one_patient_are_one_patient():
    names = ["C47P8thinF_IMG_20150701_1_cell_1.png", "C47P8ThinF_IMG_20150702_2_cell_2.png"]
    assert {find_patient(name, re.compile(PATTERN)) for name in names} == {"47"}


@pytest.mark.parametrize(("pattern", "patient"), [("^[^-]+", "p7"), ("^(?:q(8)|p)", None)])
def test_without_a_group_the_whole_match_is_the_patient(pattern, patient):
    assert find_patient("p7-cell.png", re.compile(pattern)) == patient


def test_a_scan_gives_labels_in_order_then_paths_in_order(tmp_path):
    names = ["Uninfected/C2P1_b.png", "Uninfected/C2P1_a.JPG", "Other/C3P1_d.png"]
    names += ["Parasitized/odd.bmp", "Parasitized/more/C10P1_c.png", "Parasitized/Thumbs.db"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert scan_folder(tmp_path, LABELS, PATTERN) == [
        Sample(tmp_path / "Parasitized/odd.bmp", 0, None),
        Sample(tmp_path / "Parasitized/more/C10P1_c.png", 0, "10"),
        Sample(tmp_path / "Uninfected/C2P1_a.JPG", 1, "2"),
        Sample(tmp_path / "Uninfected/C2P1_b.png", 1, "2"),
    ]
    assert [sample.label for sample in scan_folder(tmp_path, LABELS[::-1], PATTERN)] == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("by", "seed", "expected"),
    [
        ("patient", 0, [5, 8, 9, 10, 18, 19, 27, 28, 32, 33, 34, 35, 47, 48, 49]),
        ("patient", 42, [0, 1, 2, 3, 4, 17, 20, 21, 22, 23, 24, 25, 26, 45, 46]),
        ("image", 0, [0, 3, 11, 12, 15, 16, 25, 26, 27, 28, 33, 34, 37, 43, 44]),
        ("image", 42, [4, 6, 7, 10, 12, 14, 20, 21, 29, 31, 36, 40, 41, 45, 47]),
    ],
)
def test_the_same_seed_gives_the_same_split_on_every_machine(by, seed, expected):
    training, validation = split_samples(SAMPLES, by=by, test_size=0.3, seed=seed)
    assert validation.tolist() == expected
    assert training.tolist() == sorted(set(range(len(SAMPLES))) - set(expected))


@pytest.mark.parametrize("seed", range(25))
def test_no_patient_is_on_both_sides_and_their_share_is_test_size(seed):
    random = np.random.default_rng(seed)
    cells = random.integers(1, 9, size=(11, 3))
    samples = draw_samples(lambda patient, label: cells[patient, label], labels=3)
    share = random.choice([0.1, 0.2, 0.3, 0.5])
    training, validation = split_samples(samples, by="patient", test_size=share, seed=seed)
    assert not patients(samples, training) & patients(samples, validation)
    assert len(patients(samples, validation)) == round(share * 10)
    assert sorted([*training, *validation]) == list(range(len(samples)))


def test_different_seeds_give_different_splits():
    for by in ("patient", "image"):
        sides = [
            split_samples(SAMPLES, by=by, test_size=0.3, seed=seed)[1].tobytes()
            for seed in range(5)
        ]
        assert len(set(sides)) > 1


def test_of_all_draws_one_with_balanced_labels_is_taken():
    # Half of the patients have only one cell of label 0, half only one of label 1.
    samples = draw_samples(lambda patient, label: 20 if (patient > 5) == label else 1)
    for seed in range(5):
        _, validation = split_samples(samples, by="patient", test_size=0.4, seed=seed)
        labels = Counter(samples[index].label for index in validation)
        assert labels == {0: 42, 1: 42}


@pytest.mark.parametrize("labels", [2, 3])
def test_by_image_every_label_has_the_same_share(labels):
    samples = draw_samples(lambda patient, label: 1 + 2 * label, labels=labels)
    for seed in range(5):
        training, validation = split_samples(samples, by="image", test_size=0.3, seed=seed)
        counts = Counter(samples[index].label for index in validation)
        assert counts == {label: 3 * (1 + 2 * label) for label in range(labels)}
        assert sorted([*training, *validation]) == list(range(len(samples)))


def test_by_image_names_need_no_patient():
    samples = [Sample(Path(f"{number}.png"), number % 2, None) for number in range(10)]
    training, validation = split_samples(samples, by="image", test_size=0.2, seed=1)
    assert (len(training), len(validation)) == (8, 2)


def test_names_without_a_patient_are_told_in_one_line():
    samples = [*SAMPLES, Sample(Path("cells/odd.png"), 0, None)]
    with pytest.raises(UserError) as caught:
        split_samples(samples, by="patient", test_size=0.3, seed=1)
    assert str(caught.value) == (
        "1 of 51 file names tell no patient, such as cells/odd.png: "
        "expected patient_pattern to match, or split_by: image"
    )


@pytest.mark.parametrize(
    ("by", "samples", "message"),
    [
        ("patient", [sample for sample in SAMPLES if sample.patient == "1"], "cannot split 1 pat"),
        (
            "image",
            SAMPLES[:1] + SAMPLES[-2:],
            "cannot split 3 images with test_size 0.3: expected more images",
        ),
        (
            "patient",
            draw_samples(lambda patient, label: 1 if label or patient == 1 else 0),
            "side lacks a label with 11 images split by patient: expected more images, or another",
        ),
    ],
)
def test_too_few_to_split_are_told(by, samples, message):
    with pytest.raises(UserError, match=message) as caught:
        split_samples(samples, by=by, test_size=0.3, seed=1)
    assert "\n" not in str(caught.value)


def test_of_each_label_so_many_are_chosen_the_same_for_the_same_seed():
    names = ["C1P1_0.png", "C8P1_1.png", "C9P1_0.png", "C3P1_0.png", "C4P1_1.png", "C7P1_0.png"]
    assert [sample.path.name for sample in choose_samples(SAMPLES, 3, seed=42)] == names
    assert choose_samples(SAMPLES, 3, seed=42) != choose_samples(SAMPLES, 3, seed=43)


@pytest.mark.parametrize("per_label", [1, 5, 19])
def test_the_chosen_are_unlike_and_keep_their_order(per_label):
    chosen = choose_samples(SAMPLES, per_label, seed=3)
    assert Counter(sample.label for sample in chosen) == {0: per_label, 1: per_label}
    assert [sample for sample in SAMPLES if sample in chosen] == chosen


def test_without_a_number_all_are_chosen():
    assert choose_samples(SAMPLES, None, seed=1) == SAMPLES


def test_a_count_names_every_label_even_an_empty_one():
    samples = [Sample(Path("a"), 0, "1"), Sample(Path("b"), 0, "1"), Sample(Path("c"), 0, None)]
    assert count_samples(samples, LABELS) == {"Parasitized": (3, 1), "Uninfected": (0, 0)}


def test_a_good_folder_has_no_problems(write_cells):
    assert find_problems(write_cells(), LABELS, None) == {}
    assert find_problems("cells_of_nobody", LABELS, None).keys() == {"train_images"}


def test_exactly_enough_images_are_enough(write_cells):
    folder = write_cells()
    assert find_problems(folder, LABELS, 4) == {}
    assert find_problems(folder, LABELS, 5) == {
        "train_size": "received 5 images per label, but there are only "
        "{'Parasitized': 4, 'Uninfected': 4}"
    }


@pytest.mark.parametrize(
    ("make", "key", "problem"),
    [
        (
            [],
            "train_images",
            "no folder {folder}; run download.sh, or name another folder",
        ),
        (
            ["Parasitised/a.png", "Uninfected/a.png"],
            "labels",
            "no folder for Parasitized in {folder}; the folders there: "
            "['Parasitised', 'Uninfected']; did you mean Parasitised?",
        ),
        (
            ["x1/a.png", "x2/a.png"],
            "labels",
            "no folder for Parasitized, Uninfected in {folder}; the folders there: ['x1', 'x2']",
        ),
        (
            ["Parasitized/a.png", "Uninfected/Thumbs.db"],
            "train_images",
            "no images in {folder}/Uninfected: expected "
            ".png, .jpg, .jpeg, .bmp, .tif, .tiff or .webp",
        ),
    ],
)
def test_each_problem_of_a_folder_names_its_setting(tmp_path, make, key, problem):
    folder = tmp_path / "cells"
    for name in make:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    assert find_problems(folder, LABELS, None) == {key: problem.format(folder=folder)}
