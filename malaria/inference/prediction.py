"""prediction: the record of one image's label and probabilities."""

from dataclasses import dataclass
from pathlib import Path

from malaria.pictures.box import Box
from malaria.pictures.remote_path import AnyPath

# The label of a cell in doubt.
REVIEW = "review"
# And of an image that is no single cell, see guard.
UNLIKE = "unlike"
# What a detector finds in a field and no network is asked about: counted, and no red cell.
LEUKOCYTE, PLATELETS, AT_BORDER, CLUMP = "leukocyte", "platelet", "at the border", "clump"
APART = (LEUKOCYTE, PLATELETS, AT_BORDER, CLUMP)


@dataclass(frozen=True)
class Prediction:
    """The answer of a network for one image.

    path: of the file; None for an image that was given in memory. label: one of the model's, or
    REVIEW or UNLIKE. probability: of `label`, or of the positive label where that is none of the
    model's. probabilities: of every label, in the model's order; 0..1, together 1. error: why the
    image could not be read, and then label and probabilities are None. group: the patient or
    folder. true_label: as the folder or the list says. overlay: the file that shows where the
    network looked. unlike: why the image is no single cell, if it is known to be none. note: what
    makes the answer less sure than others. box: where in a field the cell lies.
    """

    path: AnyPath | None = None
    label: str | None = None
    probability: float | None = None
    probabilities: tuple[float, ...] | None = None
    error: str | None = None
    group: str | None = None
    true_label: str | None = None
    overlay: Path | None = None
    unlike: str | None = None
    note: str | None = None
    box: Box | None = None
