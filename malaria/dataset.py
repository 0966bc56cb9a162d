"""dataset: scan a folder into samples; split them by patient or by image."""

import csv
import os
import re
from collections import Counter
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from malaria.errors import UserError
from malaria.files import plain_cell
from malaria.images import KINDS, find_images

# Of the NLM's names; what follows the number is spelt in many ways, and patient 47 in two.
PATIENT_PATTERN = r"^C(\d+)"
# What make_grouper takes beside a regular expression.
PATIENT, FOLDER = "patient", "folder"
# So many ways to draw the validation patients are compared for the balance of their labels.
DRAWS = 100


@dataclass(frozen=True)
class Sample:
    """One labelled picture. label: its place in the list of labels. patient: None if not known."""

    path: Path
    label: int
    patient: str | None


def find_problems(folder, labels, train_size):
    """{setting: problem} of a data folder that cannot be trained on; {} if it can."""
    folder = Path(folder)
    if not folder.is_dir():
        return {"train_images": f"no folder {folder}; run download.sh, or name another folder"}
    missing = [label for label in labels if not (folder / label).is_dir()]
    if missing:
        return {"labels": _describe_missing(folder, missing)}
    counts = {label: sum(1 for _ in find_images(folder / label)) for label in labels}
    empty = [label for label, count in counts.items() if count == 0]
    if empty:
        return {"train_images": f"no images in {folder / empty[0]}: expected {KINDS}"}
    few = {label: count for label, count in counts.items() if count < (train_size or 0)}
    if few:
        return {"train_size": f"received {train_size} images per label, but there are only {few}"}
    return {}


def _describe_missing(folder, missing):
    found = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    near = get_close_matches(missing[0], found, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"no folder for {', '.join(missing)} in {folder}; the folders there: {found[:20]}{hint}"


def scan_folder(folder, labels, patient_pattern):
    """Every picture below folder/<label>, as Samples in the order of labels, then of paths.

    The patient is the first group (or the whole match) of `patient_pattern` in the file's name.
    """
    pattern = re.compile(patient_pattern)
    return [
        Sample(path, number, find_patient(path.name, pattern))
        for number, label in enumerate(labels)
        for path in find_images(Path(folder) / label)
    ]


def find_patient(name, pattern):
    """The patient in a file's name, or None."""
    match = pattern.search(name)
    if match is None:
        return None
    return match.group(1) if pattern.groups else match.group()


def make_grouper(group_by):
    """A function from a picture's path to its group, a text, or None.

    group_by: PATIENT (as in the NLM's file names), FOLDER (the one it lies in), or a compiled
    regular expression, searched in the path: its first group, or the whole match.
    """
    if group_by == FOLDER:
        return lambda path: path.parent.name
    if group_by == PATIENT:
        patient = re.compile(PATIENT_PATTERN)
        return lambda path: find_patient(path.name, patient)
    return lambda path: find_patient(str(path), group_by)


def choose_samples(samples, per_label, *, seed):
    """At random, but the same for the same seed, `per_label` samples of each label; None: all."""
    if per_label is None:
        return list(samples)
    # RandomState, not default_rng: numpy promises its streams never change.
    random = np.random.RandomState(seed)
    chosen = []
    for label in sorted({sample.label for sample in samples}):
        members = [sample for sample in samples if sample.label == label]
        picks = random.permutation(len(members))[:per_label]
        chosen += [members[pick] for pick in sorted(picks)]
    return chosen


def split_samples(samples, *, by, test_size, seed):
    """Two sorted index arrays, (training, validation), which together are all `samples`.

    by="patient": no patient is on both sides, and `test_size` is the share of patients;
    by="image": it is the share of images, the same for each label. Raises UserError if a side
    would lack a label.
    """
    labels = np.array([sample.label for sample in samples])
    split = _split_by_patient if by == "patient" else _split_by_image
    training, validation = split(samples, labels, test_size, seed)
    for side, indices in (("training", training), ("validation", validation)):
        if len(np.unique(labels[indices])) < len(np.unique(labels)):
            raise UserError(
                f"the {side} side lacks a label with {len(samples)} images split by {by}: "
                "expected more images, or another test_size"
            )
    return np.sort(training), np.sort(validation)


def _split_by_image(samples, labels, test_size, seed):
    from sklearn.model_selection import train_test_split  # costs a second that --help need not pay

    every = np.arange(len(samples))
    try:
        return train_test_split(every, test_size=test_size, random_state=seed, stratify=labels)
    except ValueError:
        raise UserError(
            f"cannot split {len(samples)} images with test_size {test_size}: "
            "expected more images, or another test_size"
        ) from None


def _split_by_patient(samples, labels, test_size, seed):
    """Of DRAWS random draws the one in which each label's share of cells is nearest test_size."""
    from sklearn.model_selection import GroupShuffleSplit

    patients = known_patients(samples)
    splitter = GroupShuffleSplit(DRAWS, test_size=test_size, random_state=seed)
    try:
        draws = list(splitter.split(labels, groups=patients))
    except ValueError:
        raise UserError(
            f"cannot split {len(set(patients))} patients with test_size {test_size}: "
            "expected more patients, another test_size, or split_by: image"
        ) from None
    return min(draws, key=lambda draw: _imbalance(labels, draw[1], test_size))


def fold_samples(samples, *, by, count, seed):
    """`count` pairs of sorted index arrays, (training, validation); each sample is once validated.

    by="patient": no patient is on both sides of a pair; each label's share is alike in all parts as
    far as that allows. by="image": at random, each label alike. Raises UserError if it cannot be.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    labels = np.array([sample.label for sample in samples])
    patients = known_patients(samples) if by == "patient" else None
    scarcest = min(np.bincount(labels)) if patients is None else len(set(patients))
    if scarcest < count:
        kind = "images of each label" if patients is None else "patients"
        raise UserError(f"--folds: expected at least {count} {kind}; received {scarcest}")
    kind = StratifiedKFold if patients is None else StratifiedGroupKFold
    splitter = kind(count, shuffle=True, random_state=seed)
    parts = list(splitter.split(labels, labels, groups=patients))
    for training, validation in parts:
        if any(len(np.unique(labels[side])) < labels.max() + 1 for side in (training, validation)):
            raise UserError(
                f"--folds: a label is missing in a part of {count}: expected fewer parts"
            )
    return [(np.sort(training), np.sort(validation)) for training, validation in parts]


def find_excluded(samples, listing, folder):
    """The indices, a set, of the samples that are named in a .csv with a column `path`.

    Paths are relative to `folder`, the one of the labels' folders, or to where we are. Raises
    UserError if the listing cannot be read, or names none of the samples.
    """
    listed = _read_paths(Path(listing))
    known = {}
    for index, sample in enumerate(samples):
        known[os.path.relpath(sample.path, folder)] = index
        known[os.path.abspath(sample.path)] = index
    found = {known.get(os.path.normpath(text), known.get(os.path.abspath(text))) for text in listed}
    found.discard(None)
    if listed and not found:
        raise UserError(
            f"exclude: none of the {len(listed)} files in {listing} is among the images; expected "
            f"paths like {os.path.relpath(samples[0].path, folder)}; received {listed[0][:200]}"
        )
    return found


def _read_paths(listing):
    try:
        with open(listing, newline="", encoding="utf-8", errors="surrogateescape") as file:
            rows = csv.DictReader(file)
            if "path" not in (rows.fieldnames or ()):
                raise UserError(f"exclude: expected a column 'path' in the first line of {listing}")
            return [plain_cell(row["path"]) for row in rows if row["path"]]
    except (OSError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"exclude: cannot read {listing}: {reason}") from None


def known_patients(samples):
    """The patient of each sample. Raises UserError if one has none."""
    unknown = [sample for sample in samples if sample.patient is None]
    if unknown:
        raise UserError(
            f"{len(unknown)} of {len(samples)} file names tell no patient, such as "
            f"{unknown[0].path}: expected patient_pattern to match, or split_by: image"
        )
    return [sample.patient for sample in samples]


def _imbalance(labels, validation, test_size):
    """How far the validation share of the worst label is from test_size."""
    shares = np.bincount(labels[validation], minlength=labels.max() + 1) / np.bincount(labels)
    return np.abs(shares - test_size).max()


def count_samples(samples, labels):
    """{label: (images, patients)}; patients counts the known ones."""
    images = Counter(sample.label for sample in samples)
    patients = {number: set() for number in range(len(labels))}
    for sample in samples:
        patients[sample.label].add(sample.patient)
    return {
        label: (images[number], len(patients[number] - {None}))
        for number, label in enumerate(labels)
    }
