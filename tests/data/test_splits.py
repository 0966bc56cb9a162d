"""Tests of malaria/data/splits.py, but for the parts of a cross-validation."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from malaria.base.errors import UserError
from malaria.data.dataset import Sample
from malaria.data.splits import choose_samples, split_samples


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


def test_of_all_draws_one_with_balanced_labels_is_taken():
    # Half of the patients have only one cell of label 0, half only one of label 1.
    samples = draw_samples(lambda patient, label: 20 if (patient > 5) == label else 1)
    for seed in range(5):
        _, validation = split_samples(samples, by="patient", test_size=0.4, seed=seed)
        labels = Counter(samples[index].label for index in validation)
        assert labels == {0: 42, 1: 42}


@pytest.mark.parametrize("labels", [2, 3])
def test_by_image_every_label_has_the_same_share_and_names_need_no_patient(labels):
    samples = draw_samples(lambda patient, label: 1 + 2 * label, labels=labels)
    samples = [replace(sample, patient=None) for sample in samples]
    for seed in range(5):
        training, validation = split_samples(samples, by="image", test_size=0.3, seed=seed)
        counts = Counter(samples[index].label for index in validation)
        assert counts == {label: 3 * (1 + 2 * label) for label in range(labels)}
        assert sorted([*training, *validation]) == list(range(len(samples)))


@pytest.mark.parametrize(
    ("by", "samples", "message"),
    [
        ("patient", [sample for sample in SAMPLES if sample.patient == "1"], "cannot split 1 pat"),
        ("image", SAMPLES[:1] + SAMPLES[-2:], "split 3 images with test_size 0.3: expected more i"),
        (
            "patient",
            [*SAMPLES, Sample(Path("cells/odd.png"), 0, None)],
            r"^1 of 51 file names tell no patient, such as cells/odd\.png: "
            r"expected patient_pattern to match, or split_by: image$",
        ),
        (
            "patient",
            draw_samples(lambda patient, label: label or patient == 1),
            "side lacks a label with 11 images split by patient: expected more images, or another",
        ),
    ],
)
def test_too_few_to_split_and_names_without_a_patient_are_told_in_one_line(by, samples, message):
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
    assert choose_samples(SAMPLES, None, seed=3) == SAMPLES
