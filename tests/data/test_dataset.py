"""Tests of malaria/data/dataset.py."""

from pathlib import Path

import pytest

from malaria.base.errors import UserError
from malaria.base.patterns import Pattern
from malaria.data.dataset import (
    FOLDER,
    LABELS,
    PATIENT,
    PATIENT_PATTERN,
    Sample,
    check_sub_folders,
    count_samples,
    default_positive,
    make_grouper,
    scan_folder,
    sub_folder_of,
)
from malaria.settings.config import Config


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("C33P1thinF_IMG_20150619_114756a_cell_179.png", "33"),
        ("C1_thinF_IMG_20150604_104919_cell_82.png", "1"),
        ("C139P100NThinF_IMG_20151005_211735_cell_1.png", "139"),
        ("C37BP2_thinF_IMG_20150620_131850a_cell_76.png", "37"),
        *[(f"C47P8{word}hinF_IMG_20150701_1_cell_1.png", "47") for word in "tT"],
        *[(name, None) for name in ("cell_C33.png", "c33P1.png", "CP1.png")],
    ],
)
def test_the_patient_is_the_number_after_c(name, patient):
    assert Pattern(PATIENT_PATTERN).find(name) == patient
    assert make_grouper(PATIENT)(Path("C9", name)) == patient


def test_a_training_takes_these_labels_and_patients_unless_it_is_told_others():
    assert Config().labels == LABELS == ("Parasitized", "Uninfected")
    assert Config().patient_pattern == PATIENT_PATTERN


def test_a_scan_gives_labels_in_order_then_paths_in_order(tmp_path):
    names = ["Uninfected/C2P1_b.png", "Uninfected/C2P1_a.JPG", "Other/C3P1_d.png"]
    names += ["Parasitized/odd.bmp", "Parasitized/more/C10P1_c.png", "Parasitized/Thumbs.db"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert scan_folder(tmp_path, LABELS, PATIENT_PATTERN) == [
        Sample(tmp_path / "Parasitized/odd.bmp", 0, None),
        Sample(tmp_path / "Parasitized/more/C10P1_c.png", 0, "10"),
        Sample(tmp_path / "Uninfected/C2P1_a.JPG", 1, "2"),
        Sample(tmp_path / "Uninfected/C2P1_b.png", 1, "2"),
    ]
    turned = scan_folder(tmp_path, LABELS[::-1], PATIENT_PATTERN)
    assert [sample.label for sample in turned] == [0, 0, 1, 1]


def test_a_count_names_every_label_even_an_empty_one():
    samples = [Sample(Path("a"), 0, "1"), Sample(Path("b"), 0, "1"), Sample(Path("c"), 0, None)]
    assert count_samples(samples, LABELS) == {"Parasitized": 3, "Uninfected": 0}


@pytest.mark.parametrize(
    ("labels", "positive"),
    [
        (LABELS, "Parasitized"),
        (LABELS[::-1], "Parasitized"),
        (("NORMAL", "PNEUMONIA"), "PNEUMONIA"),
        (("a", "Parasitized", "b"), "Parasitized"),
    ],
)
def test_the_positive_label_is_parasitized_or_the_last(labels, positive):
    assert default_positive(labels) == positive


@pytest.mark.parametrize(
    ("group_by", "group"),
    [
        (PATIENT, "7"),
        (FOLDER, "slide 2"),
        (Pattern(r"slide (\d+)"), "2"),
        (Pattern(r"slide \d+"), "slide 2"),
        (Pattern("none"), None),
    ],
)
def test_images_are_grouped_by_patient_by_folder_or_by_a_pattern(group_by, group):
    assert make_grouper(group_by)(Path("cells/slide 2/C7P3_1.png")) == group


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("cells/Uninfected/a.png", "Uninfected"),
        ("cells/Parasitized/slide/Uninfected/a.png", "Parasitized"),
        ("cells/other/Uninfected/a.png", "other"),
        ("cells/Uninfected.png", None),
        ("cells/Uninfected", None),
    ],
)
def test_the_first_folder_on_the_way_to_an_image_says_its_label(path, label):
    assert sub_folder_of(Path(path), Path("cells")) == label
    assert sub_folder_of(f"/data/{path}", "/data/cells/") == label


def test_a_folder_without_a_label_is_refused_with_what_was_found(tmp_path):
    (tmp_path / "Parasitized").touch()
    with pytest.raises(UserError, match=r"named Parasitized, Uninfected; found none$"):
        check_sub_folders(tmp_path, LABELS)
    for folder in ("y\n", "x"):
        (tmp_path / folder).mkdir()
    with pytest.raises(UserError, match=r"named Parasitized, Uninfected; found x, y\\n$"):
        check_sub_folders(tmp_path, LABELS)
