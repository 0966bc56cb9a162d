"""dataset: scan a folder into samples; tell their patients and count them."""

import re
from collections import Counter
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from malaria.data.images import KINDS, find_images

# Of the NLM's names; what follows the number is spelt in many ways, and patient 47 in two.
PATIENT_PATTERN = r"^C(\d+)"
# What make_grouper takes beside a regular expression.
PATIENT, FOLDER = "patient", "folder"


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
