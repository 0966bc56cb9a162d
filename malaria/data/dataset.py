"""dataset: labelled folders -> samples; their patients, their counts and their true labels."""

import re
import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from malaria.base.errors import UsageError, UserError
from malaria.base.patterns import Pattern
from malaria.base.text import printable, quote
from malaria.pictures.cell_in_field import ImagePath
from malaria.pictures.folders import find_images, list_folder, sub_folders
from malaria.pictures.passed_over import PassedOver
from malaria.pictures.remote_path import AnyPath, FilePath, parts_below, to_path

# Of the NLM's cells, and of the first original's models; label 0 first.
LABELS = ("Parasitized", "Uninfected")
# Of the NLM's names; what follows the number is spelt in many ways, and patient 47 in two.
PATIENT_PATTERN = r"^C(\d+)"
# The words of labels that mean no disease; a first word of NEGATIONS turns the meaning round.
HEALTHY = re.compile(
    "0|absent|benign|clean|controls?|false|healthy|neg(ative)?|none|normal|"
    "(non|un)(affected|diseased|infected|parasiti[sz]ed)"
)
NEGATIONS = ("no", "non", "not", "without")
# Names that make_grouper takes beside a Pattern.
PATIENT, FOLDER = "patient", "folder"


@dataclass(frozen=True)
class Sample:
    """One labelled image. label: its index in the list of labels. patient: None if not known.

    source: its laboratory or data set. content: the same for images of equal pixels; None
    before they are read. is_validation: it is of validation_images.
    """

    path: ImagePath
    label: int
    patient: str | None
    source: str = ""
    content: str | None = None
    is_validation: bool = False


def default_positive(labels: Sequence[str]) -> str:
    """The positive label where nobody names it: Parasitized if it is a label.

    Else the last that does not mean healthy, as NORMAL does; the last if all do, or none.
    """
    ill = [label for label in labels if not _means_healthy(label)]
    return LABELS[0] if LABELS[0] in labels else (ill or labels)[-1]


def _means_healthy(label: str) -> bool:
    words = [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+|\d+", label)]
    return any(map(HEALTHY.fullmatch, words)) != (words[:1] != [] and words[0] in NEGATIONS)


def scan_folder(
    folder: Path | str,
    labels: Sequence[str],
    patient_pattern: str,
    passed_over: PassedOver | None = None,
) -> list[Sample]:
    """Every image below folder/<label>, as Samples in the order of labels, then of paths.

    A label without a folder has none. The patient is the first group (or the whole match) of
    `patient_pattern` in the file's name. passed_over: counts what is not taken, images of other
    folders too.
    """
    folder, pattern = Path(folder), Pattern(patient_pattern)
    if passed_over is not None and folder.is_dir():
        _count_others(folder, labels, passed_over)
    return [
        Sample(path, number, pattern.find(path.name))
        for number, label in enumerate(labels)
        if (folder / label).is_dir()
        for path in find_images(folder / label, passed_over)
    ]


def _count_others(folder: Path, labels: Sequence[str], passed_over: PassedOver) -> None:
    """Count the images that no label names: in other folders, and beside the folders."""
    files, folders, _ = list_folder(folder, passed_over.files)
    counts = {"": sum(1 for _ in files)}
    others = (other for other in folders if other.name not in labels)
    counts |= {other.name: sum(1 for _ in find_images(other)) for other in others}
    passed_over.unlabelled += Counter(counts)


def make_grouper(group_by: str | Pattern) -> Callable[[AnyPath], str | None]:
    """A function from an image's path to its group, or None.

    group_by: PATIENT (of the NLM's names), FOLDER (the name of the one it lies in) or a Pattern on
    the path.
    """
    if isinstance(group_by, Pattern):
        return lambda path: group_by.find(str(path))
    if group_by == FOLDER:
        return lambda path: path.parent.name
    if group_by != PATIENT:
        raise UsageError(f"expected {PATIENT}, {FOLDER} or a Pattern; received {quote(group_by)}")
    return _nlm_patient


def make_patient_finder(pattern: str | None) -> Callable[[AnyPath], str | None]:
    """A function from an image's path to its patient, by a pattern on the file's name.

    pattern: of a saved model; None, or what is no pattern, is the NLM's.
    """
    if pattern is not None and pattern != PATIENT_PATTERN:
        with suppress(ValueError):
            known = Pattern(pattern)
            return lambda path: known.find(path.name)
    return _nlm_patient


def _nlm_patient(path: AnyPath) -> str | None:
    # Python's own engine: this pattern is ours, and quick.
    match = re.search(PATIENT_PATTERN, path.name)
    return match.group(1) if match else None


def sub_folder_of(path: AnyPath, folder: FilePath | str) -> str | None:
    """The name of the sub-folder of `folder` that holds `path`; None if it lies elsewhere."""
    first, *rest = parts_below(to_path(path), to_path(folder)) or ("",)
    return first if rest else None


def check_sub_folders(
    folder: FilePath, labels: Sequence[str], *, are_assumed: bool = False
) -> None:
    """Raise UserError unless a sub-folder of `folder` is named as one of the labels.

    are_assumed: the model does not say them, so that the folders' names are proposed instead.
    """
    found = sub_folders(folder)
    if not set(found) & set(labels):
        proposed = f"; {propose_labels(found)}" if are_assumed and len(found) == len(labels) else ""
        raise UserError(
            f"expected sub-folders of {printable(folder)} named {printable(', '.join(labels))}; "
            f"found {printable(', '.join(found[:20]) or 'none')}{proposed}"
        )


def propose_labels(names: Sequence[str]) -> str:
    """The option that gives a model labels of these names, in a few words."""
    option = printable(shlex.quote(",".join(names)))
    order = "the other order" if len(names) == 2 else "the order of its outputs"
    return f"if these are the model's labels: --labels={option}, or in {order}"


def count_samples(samples: Sequence[Sample], labels: Sequence[str]) -> dict[str, int]:
    """{label: number of images}, in the order of the labels."""
    images = Counter(sample.label for sample in samples)
    return {label: images[number] for number, label in enumerate(labels)}


def count_by_source(samples: Sequence[Sample], labels: Sequence[str]) -> dict[str, dict[str, int]]:
    """{source: {label: number of images}}, in the order in which the sources come."""
    sources: dict[str, list[Sample]] = {}
    for sample in samples:
        sources.setdefault(sample.source, []).append(sample)
    return {source: count_samples(some, labels) for source, some in sources.items()}
