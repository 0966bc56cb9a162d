"""field_boxes: a field as the page of fields shows it: its boxes by kind, and the cells to see."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import astuple
from typing import Any, NamedTuple

from malaria.fields.field_counts import is_doubtful
from malaria.fields.found import cut
from malaria.inference.prediction import (
    AT_BORDER,
    CLUMP,
    LEUKOCYTE,
    PLATELETS,
    REVIEW,
    UNLIKE,
    Prediction,
)
from malaria.inference.trained_model import TrainedModel
from malaria.outputs.field_pictures import shrink_field
from malaria.outputs.html_parts import data_uri, thumbnail
from malaria.pictures.box import Box
from malaria.pictures.images import opened
from malaria.pictures.remote_path import AnyPath

# At most so many cells of a field are shown by themselves, about 2 KB each; all have their boxes.
CELLS = 40
POSITIVE, DOUBTED, DOUBTFUL, OTHER = "positive", "doubted", "doubtful", "other"


class Kind(NamedTuple):
    """text: for people, with {positive} and {other}. colour, dashes: of the line around it, in SVG.

    is_seen: whether such cells are shown by themselves too; their lines are thick.
    """

    text: str
    colour: str
    dashes: str = "none"
    is_seen: bool = False


# Of all boxes, on light and on stained slides; never told apart by colour alone.
KINDS = {
    POSITIVE: Kind("{positive}", "#c82800", is_seen=True),
    DOUBTED: Kind("{positive}, but no single red cell to the guard", "#e18c00", "9 4", True),
    DOUBTFUL: Kind("{other}, doubtful", "#1e50c8", "9 4", True),
    REVIEW: Kind("left to a person", "#8a1fb8", "3 3", True),
    OTHER: Kind("{other}", "#1e50c8"),
    UNLIKE: Kind("no single red cell", "#5a5a5a", "6 3"),
    LEUKOCYTE: Kind("leukocyte", "#00695c", "2 3"),
    PLATELETS: Kind("platelet", "#ad1457", "2 3"),
    AT_BORDER: Kind("at the border", "#5a5a5a", "2 3"),
    CLUMP: Kind("clump", "#6d4c00", "2 3"),
}


class Placed(NamedTuple):
    """A cell with its box. probability: of the positive label, or None.

    in_doubt: whether that, the guard or --review leaves a doubt that it is positive, or is not.
    """

    box: Box
    kind: str
    label: str
    probability: float | None
    in_doubt: bool

    def outline(self) -> str:
        """The path around it, as SVG writes it."""
        left, top, width, height = astuple(self.box)
        return f"M{left} {top}h{width}v{height}h-{width}z"


def place(cell: Prediction, box: Box, model: TrainedModel) -> Placed:
    """A cell as the page has it, with which of KINDS it is."""
    known, label = model.metadata, cell.label or UNLIKE
    doubtful = is_doubtful(cell, known.positive)
    if label == known.positive_label:
        kind = POSITIVE
    elif label in known.labels:
        kind = DOUBTFUL if doubtful else OTHER
    else:
        kind = DOUBTED if model.is_doubted(cell) else label if label in KINDS else UNLIKE
    probability = cell.probabilities[known.positive] if cell.probabilities else None
    return Placed(box, kind, label, probability, doubtful or kind in (DOUBTED, REVIEW))


def describe_field(
    number: int, path: AnyPath, cells: Iterable[Prediction], model: TrainedModel
) -> dict[str, Any]:
    """All that the page shows of one field, as JSON has it. Raises UnreadableImageError.

    number: of the field, for ids. counts: of all its boxes by kind. cells: those to look at,
    those in doubt first, at most CELLS; "left out": how many there are beyond; "in doubt": how many
    of all these are. outlines: by kind, the path around all other boxes.
    """
    placed = [place(cell, cell.box, model) for cell in cells if cell.box is not None]
    seen = [one for one in placed if KINDS[one.kind].is_seen]
    listed = sorted(seen, key=lambda one: _rank(one, model.metadata.threshold))[:CELLS]
    outlines: dict[str, str] = defaultdict(str)
    for one in placed:
        if one not in listed:
            outlines[one.kind] += one.outline()
    with opened(path) as field:
        image, size = shrink_field(field), field.size
        thumbnails = [thumbnail(cut(field, one.box)) for one in listed]
    return {
        "image": data_uri(image),
        "size": size,
        "counts": Counter(one.kind for one in placed),
        "outlines": outlines,
        "cells": [
            {"id": f"{number}-{n}", "image": thumbnails[n]}
            | one._asdict()
            | {"box": str(one.box), "outline": one.outline()}
            for n, one in enumerate(listed)
        ],
        "in doubt": sum(one.in_doubt for one in seen),
        "left out": len(seen) - len(listed),
    }


def _rank(one: Placed, threshold: float) -> tuple[bool, float]:
    """Cells in doubt come first, of these and of the others those nearest to the threshold."""
    return not one.in_doubt, abs((one.probability or 0) - threshold)
