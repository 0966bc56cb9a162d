"""annotated_fields: photographs of smears with boxes, in memory and on their two sides."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from malaria.annotations.annotation_records import Annotated
from malaria.annotations.cell_kinds import RED, Kind
from malaria.annotations.matching import touches_border
from malaria.annotations.read_annotations import read_annotations
from malaria.base.errors import UserError
from malaria.data.training_folders import TrainingFolder
from malaria.pictures.folders import find_images
from malaria.pictures.images import open_image
from malaria.pictures.remote_path import AnyPath

# A field is kept so that its typical red cell has at most this side, pixels.
KEPT = 50
# The kinds of objects that a detector tells, and what annotators call them; the order of its
# channels. What is neither is not to be found, nor to be left.
KINDS: dict[str, tuple[Kind, ...]] = {
    "red blood cell": RED, "leukocyte": ("leukocyte",), "platelet": ("platelet",)
}  # fmt: skip


@dataclass(frozen=True)
class AnnotatedField:
    """image: (height, width, 3), uint8, RGB, made smaller. boxes: (n, 4), float32, left, top, width
    and height in its pixels. kinds: (n,), places in KINDS. is_sure: (n,), bool: False for what the
    border cuts, or nobody can tell. diameter: of a typical red cell. source: the laboratory; group:
    the patient or field, which is on one side.
    """

    path: AnyPath
    image: np.ndarray
    boxes: np.ndarray
    kinds: np.ndarray
    is_sure: np.ndarray
    diameter: float
    source: str
    group: str


@dataclass(frozen=True)
class AnnotatedFields:
    """Fields, and which of them are on the training and on the validation side: indices."""

    fields: Sequence[AnnotatedField]
    training: np.ndarray
    validation: np.ndarray

    failures: ClassVar[list[UserError]] = []  # they are in memory

    @cached_property
    def digest(self) -> str:
        """A SHA-256 of the paths and boxes, in order."""
        found = hashlib.sha256()
        for one in self.fields:
            found.update(str(one.path).encode("utf-8", "surrogateescape") + one.boxes.tobytes())
        return found.hexdigest()


def load_fields(folders: Sequence[TrainingFolder]) -> list[AnnotatedField]:
    """All fields of these annotations, each as `run.py --boxes` takes them. Raises UserError."""
    fields = [field for folder in folders for field in _read(folder)]
    if not any((one.kinds == 0).any() for one in fields):
        raise UserError("train_images: no red cells are annotated in any of the fields")
    return fields


def _read(folder: TrainingFolder) -> Iterator[AnnotatedField]:
    annotations = read_annotations(Path(folder.folder))
    paths = annotations.places or list(find_images(Path(folder.folder)))
    annotations.assign(paths)
    for path in paths:
        if annotations.knows(path):
            image = open_image(path)
            boxes, is_complete = annotations.read(path, image.size)
            # In a field with cells that nobody boxed, leaving them would be learnt.
            if is_complete and any(one.kind in RED for one in boxes):
                yield _keep(folder, path, image, boxes)


def _keep(
    folder: TrainingFolder, path: AnyPath, image: Image.Image, annotated: Sequence[Annotated]
) -> AnnotatedField:
    boxes = np.array([[b.left, b.top, b.width, b.height] for b, *_ in annotated], np.float32)
    of_kind = {kind: place for place, kinds in enumerate(KINDS.values()) for kind in kinds}
    kinds = np.array([of_kind.get(one.kind, 0) for one in annotated])
    is_known = np.array([one.kind in of_kind for one in annotated])
    is_cut = np.array([touches_border(one.box, image.size) for one in annotated])
    is_red = is_known & (kinds == 0)
    diameter = float(np.median(np.sqrt(boxes[is_red, 2] * boxes[is_red, 3])))
    scale = min(1.0, KEPT / diameter)
    size = [max(1, round(side * scale)) for side in image.size]
    small = image.convert("RGB").resize(size, Image.Resampling.BILINEAR, reducing_gap=2)
    found = re.search(folder.patient_pattern, path.name)
    return AnnotatedField(
        *(path, np.asarray(small), boxes * np.float32(scale), kinds, is_known & ~is_cut),
        *(diameter * scale, folder.name, f"{folder.name}:{found[1] if found else path.name}"),
    )
