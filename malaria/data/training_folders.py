"""training_folders: the folders of labelled pictures to learn from, each of one laboratory."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from malaria.base.text import printable
from malaria.data.dataset import Sample, count_samples, scan_folder
from malaria.pictures.folders import find_images, sub_folders
from malaria.pictures.names import KINDS


@dataclass(frozen=True)
class TrainingFolder:
    """A folder with a sub-folder for each label that it has pictures of.

    name: of the laboratory or data set, its source. patient_pattern: a regular expression; its
    first group in a file's name is the patient or the field. is_one_of_several: then a sample's
    patient is written "name:patient", for two laboratories may number theirs alike.
    """

    folder: str
    name: str
    patient_pattern: str
    is_one_of_several: bool = False

    def scan(self, labels: Sequence[str], skipped: Counter[str]) -> list[Sample]:
        """Its samples, in the order of labels, then of paths; see dataset.scan_folder."""
        samples = scan_folder(self.folder, labels, self.patient_pattern, skipped)
        return [self._named(sample) for sample in samples]

    def _named(self, sample: Sample) -> Sample:
        patient = sample.patient
        if self.is_one_of_several and patient is not None:
            patient = f"{self.name}:{patient}"
        return replace(sample, patient=patient, source=self.name)


def name_of(folder: str) -> str:
    """The name of a source that has none of its own: the last part of its folder."""
    return Path(os.path.abspath(folder)).name or folder


def find_problems(
    folders: Sequence[TrainingFolder], labels: Sequence[str], train_size: int | None
) -> dict[str, str]:
    """{setting: problem} of folders that cannot be trained on; {} if they can.

    One folder must have every label; of several each must have one, and each label be in one.
    """
    counts: Counter[str] = Counter()
    for one in folders:
        problems = _problems_of_folder(one, labels)
        if problems:
            return problems
        found = _count(one, labels)
        if one.is_one_of_several and not found:
            names = ", ".join(labels)
            return {"train_images": f"no images of {names} in {Path(one.folder)}: expected {KINDS}"}
        counts += found
    missing = [label for label in labels if counts[label] == 0]
    if missing and len(folders) == 1:
        where = Path(folders[0].folder) / missing[0]
        return {"train_images": f"no images in {where}: expected {KINDS}"}
    if missing:
        return {"labels": f"no images of {', '.join(missing)} in any of the train_images"}
    few = {label: counts[label] for label in labels if counts[label] < (train_size or 0)}
    if few:
        return {"train_size": f"received {train_size} images per label, but there are only {few}"}
    return {}


def _problems_of_folder(one: TrainingFolder, labels: Sequence[str]) -> dict[str, str]:
    folder = Path(one.folder)
    if not folder.is_dir():
        return {"train_images": f"no folder {folder}; run download.sh, or name another folder"}
    missing = [label for label in labels if not (folder / label).is_dir()]
    if missing and (not one.is_one_of_several or len(missing) == len(labels)):
        return {"labels": _describe_missing(folder, missing)}
    return {}


def _count(one: TrainingFolder, labels: Sequence[str]) -> Counter[str]:
    """How many images of each label there are; labels without one are left out."""
    folders = {label: Path(one.folder) / label for label in labels}
    counts = {
        label: sum(1 for _ in find_images(folder))
        for label, folder in folders.items()
        if folder.is_dir()
    }
    return Counter({label: count for label, count in counts.items() if count})


def _describe_missing(folder: Path, missing: list[str]) -> str:
    found = sub_folders(folder)
    near = get_close_matches(missing[0], found, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"no folder for {', '.join(missing)} in {folder}; the folders there: {found[:20]}{hint}"


def count_by_source(samples: Sequence[Sample], labels: Sequence[str]) -> dict[str, dict[str, int]]:
    """{source: {label: number of images}}, in the order in which the sources come."""
    sources: dict[str, list[Sample]] = {}
    for sample in samples:
        sources.setdefault(sample.source, []).append(sample)
    return {source: count_samples(some, labels) for source, some in sources.items()}


def describe_sources(samples: Sequence[Sample], labels: Sequence[str]) -> list[str]:
    """A line for each source with its counts; none where there is one source only."""
    counts = count_by_source(samples, labels)
    if len(counts) < 2:
        return []
    shown = {
        source: ", ".join(f"{printable(label)} {count}" for label, count in known.items() if count)
        for source, known in counts.items()
    }
    return [f"  {printable(source)}: {text}" for source, text in shown.items()]
