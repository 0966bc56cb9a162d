"""training_folders: folders and tables of labelled images to train on, each of one laboratory."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

import yaml

from malaria.base.errors import UserError
from malaria.base.text import quote
from malaria.data import training_tables
from malaria.data.dataset import Sample, scan_folder
from malaria.data.tables import is_table
from malaria.pictures.folders import find_images, sub_folders
from malaria.pictures.limits import KINDS
from malaria.pictures.passed_over import PassedOver
from malaria.pictures.remote_path import RemotePath, to_path

# Folders of these names are no labels: each holds some of every label.
SPLITS = {"train", "training", "test", "testing", "val", "valid", "validation"}


@dataclass(frozen=True)
class TrainingFolder:
    """A folder with a sub-folder for each label that it has images of, or a table that names them.

    name: of the laboratory or data set, its source. patient_pattern: as of scan_folder.
    is_one_of_several: then a sample's patient is written "name:patient", for two laboratories may
    number theirs alike.
    """

    folder: str
    name: str
    patient_pattern: str
    is_one_of_several: bool = False

    @property
    def is_table(self) -> bool:
        """Whether it is a table, by its name; a folder may be called so too."""
        return is_table(Path(self.folder)) and not os.path.isdir(self.folder)

    @property
    def base(self) -> str:
        """The folder in which relative paths to its images begin."""
        return os.path.dirname(self.folder) or "." if self.is_table else self.folder

    def scan(self, labels: Sequence[str], passed_over: PassedOver) -> list[Sample]:
        """Its samples, in the order of labels, then of paths; see dataset.scan_folder."""
        found = PassedOver(files=passed_over.files)
        scan = training_tables.scan_table if self.is_table else scan_folder
        samples = scan(self.folder, labels, self.patient_pattern, found)
        prefix, place = (f"{self.name}:", f"{self.name}/") if self.is_one_of_several else ("", "")
        passed_over.again += found.again
        passed_over.nameless += found.nameless
        for name, count in found.unlabelled.items():
            passed_over.unlabelled[name and place + name] += count
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
    """{setting: problem} of folders and tables that cannot be trained on; {} if they can.

    One must have every label; of several each must have one, and each label be in one. Quick: of
    each label it looks for a first image, or for `train_size` of them, and no further.
    """
    counts: Counter[str] = Counter()
    for one in folders:
        found, problem = look_into(one, labels, most=train_size or 1)
        if problem:
            return problem
        counts += found
    missing = [label for label in labels if counts[label] == 0]
    if missing:
        return {"labels": f"no images of {', '.join(missing)} in any of the train_images"}
    few = {label: counts[label] for label in labels if counts[label] < (train_size or 0)}
    if few:
        return {"train_size": f"received {train_size} images per label, but there are only {few}"}
    return {}


def look_into(
    one: TrainingFolder, labels: Sequence[str], most: int
) -> tuple[Counter[str], dict[str, str]]:
    """The images of each label that is there, counted up to `most`; {setting: problem} or {}."""
    if isinstance(to_path(one.folder), RemotePath):
        known = f"expected a folder or a table of this machine; received {quote(one.folder)}"
        return Counter(), {"train_images": known}
    if one.is_table:
        return _look_into_table(one, labels, most)
    folder = Path(one.folder)
    there = [label for label in labels if (folder / label).is_dir()]
    found = Counter({label: len([*islice(find_images(folder / label), most)]) for label in there})
    return found, _problem_of_folder(one, labels, found)


def _problem_of_folder(
    one: TrainingFolder, labels: Sequence[str], found: Counter[str]
) -> dict[str, str]:
    folder = Path(one.folder)
    if not folder.is_dir():
        return {"train_images": _describe_nothing(one.folder)}
    missing, empty = _lacking(one, labels, found)
    if missing:
        return {"labels": _describe_missing(folder, missing)}
    if empty:
        names = ", ".join(empty)
        return {"train_images": f"no images of {names} in {folder}: expected {KINDS}"}
    return {}


def _look_into_table(
    one: TrainingFolder, labels: Sequence[str], most: int
) -> tuple[Counter[str], dict[str, str]]:
    try:
        found = training_tables.look_into(one.folder, labels, most)
    except UserError as error:
        return Counter(), {"train_images": str(error)}
    missing, empty = _lacking(one, labels, found.counts)
    if missing:
        problem = {"labels": training_tables.describe_missing(one.folder, missing, found)}
    elif empty:
        problem = {"train_images": training_tables.describe_gone(one.folder, empty[0], found)}
    else:
        problem = {}
    return found.counts, problem


def _lacking(
    one: TrainingFolder, labels: Sequence[str], found: Counter[str]
) -> tuple[list[str], list[str]]:
    """The labels that are not there, and those that have no image, if these must be."""
    missing = [label for label in labels if label not in found]
    empty = [label for label in labels if found[label] == 0]
    is_alone = not one.is_one_of_several
    return (
        missing if is_alone or not found else [],
        empty if is_alone or len(empty) == len(labels) else [],
    )


def _describe_nothing(folder: str) -> str:
    if os.path.isfile(folder):
        return f"expected a folder, or a table, a .csv or .tsv; received the file {quote(folder)}"
    return f"no folder {Path(folder)}; run download.sh, or name another folder"


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
