"""training_folders: the folders of labelled images to train on, each of one laboratory."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

import yaml

from malaria.data.dataset import Sample, scan_folder
from malaria.pictures.folders import find_images, sub_folders
from malaria.pictures.limits import KINDS

# Folders of these names are no labels: each holds some of every label.
SPLITS = {"train", "training", "test", "testing", "val", "valid", "validation"}


@dataclass(frozen=True)
class TrainingFolder:
    """A folder with a sub-folder for each label that it has images of.

    name: of the laboratory or data set, its source. patient_pattern: as of scan_folder.
    is_one_of_several: then a sample's patient is written "name:patient", for two laboratories may
    number theirs alike.
    """

    folder: str
    name: str
    patient_pattern: str
    is_one_of_several: bool = False

    def scan(self, labels: Sequence[str], skipped: Counter[str]) -> list[Sample]:
        """Its samples, in the order of labels, then of paths; see dataset.scan_folder."""
        samples = scan_folder(self.folder, labels, self.patient_pattern, skipped)
        prefix = f"{self.name}:" if self.is_one_of_several else ""
        return [
            replace(one, source=self.name, patient=one.patient and prefix + one.patient)
            for one in samples
        ]


def name_of(folder: str) -> str:
    """The name of a source that has none of its own: the last part of its folder."""
    return Path(os.path.abspath(folder)).name or folder


def find_problems(
    folders: Sequence[TrainingFolder], labels: Sequence[str], train_size: int | None
) -> dict[str, str]:
    """{setting: problem} of folders that cannot be trained on; {} if they can.

    One folder must have every label; of several each must have one, and each label be in one.
    Quick: of each label it looks for a first image, or for `train_size` of them, and no further.
    """
    counts: Counter[str] = Counter()
    for one in folders:
        found = _count(Path(one.folder), labels, most=train_size or 1)
        if problem := _problem_of_folder(one, labels, found):
            return problem
        counts += found
    missing = [label for label in labels if counts[label] == 0]
    if missing:
        return {"labels": f"no images of {', '.join(missing)} in any of the train_images"}
    few = {label: counts[label] for label in labels if counts[label] < (train_size or 0)}
    if few:
        return {"train_size": f"received {train_size} images per label, but there are only {few}"}
    return {}


def _count(folder: Path, labels: Sequence[str], most: int) -> Counter[str]:
    """The number of images of each label that has a folder, counted up to `most`."""
    there = [label for label in labels if (folder / label).is_dir()]
    return Counter({label: len([*islice(find_images(folder / label), most)]) for label in there})


def _problem_of_folder(
    one: TrainingFolder, labels: Sequence[str], found: Counter[str]
) -> dict[str, str]:
    folder, is_alone = Path(one.folder), not one.is_one_of_several
    if not folder.is_dir():
        return {"train_images": f"no folder {folder}; run download.sh, or name another folder"}
    missing = [label for label in labels if label not in found]
    if missing and (is_alone or not found):
        return {"labels": _describe_missing(folder, missing)}
    empty = [label for label in labels if found[label] == 0]
    if empty and (is_alone or len(empty) == len(labels)):
        names = ", ".join(empty)
        return {"train_images": f"no images of {names} in {folder}: expected {KINDS}"}
    return {}


def _describe_missing(folder: Path, missing: list[str]) -> str:
    found = sub_folders(folder)
    near = get_close_matches(missing[0], found, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    if SPLITS.issuperset(map(str.lower, found)) and found:
        hint = "; train_images may be one of these"
    elif not near and 2 <= len(found) <= 20:
        # As YAML, with quotes where names such as no and 10 need them.
        labels = yaml.safe_dump(found, default_flow_style=True, allow_unicode=True, width=10**6)
        hint = f"; to learn these: labels: {labels.strip()}"
    return f"no folder for {', '.join(missing)} in {folder}; the folders there: {found[:20]}{hint}"
