"""detection_result: the share of cells that a detector finds in validation fields."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from malaria.annotations.matching import match, overlaps, touches_border
from malaria.base.text import align, printable
from malaria.fields.detect import RED, Ask, detect
from malaria.pictures.box import Box
from malaria.training.annotated_fields import AnnotatedField

# Less likely objects are not looked at; the threshold is one of these.
LEAST, THRESHOLDS = 0.1, np.arange(0.1, 0.9, 0.02)
# A found box with this share of one that is not scored is neither right nor wrong.
LEFT_OUT = 0.3


class Judged(NamedTuple):
    """Of one field: probabilities of the found boxes, and whether they are of its `known` cells."""

    probabilities: np.ndarray
    are_cells: np.ndarray
    known: int


@dataclass(frozen=True)
class DetectionResult:
    """recall, precision: of whole red cells at an intersection over union of .5, at the threshold,
    which is that of the largest F1. text: for people. model: the saved .h5, once it is saved.
    """

    recall: float
    precision: float
    threshold: float
    text: str
    model: Path | None = None


def judge_detector(fields: Sequence[AnnotatedField], ask: Ask) -> DetectionResult:
    """The result on fields, each looked at in the size that its boxes tell."""
    by_source: dict[str, list[Judged]] = defaultdict(list)
    for field in fields:
        by_source[field.source].append(_judge(field, ask))
    every = [one for judged in by_source.values() for one in judged]
    threshold = max(THRESHOLDS.tolist(), key=lambda least: _f1(*_rates(every, least)))
    rows = [("laboratory", "fields", "cells", "recall", "precision")]
    for source, judged in [*sorted(by_source.items()), ("all", every)]:
        recall, precision = _rates(judged, threshold)
        cells = sum(one.known for one in judged)
        rates = f"{recall:.3f}", f"{precision:.3f}"
        rows.append((printable(source), f"{len(judged):,}", f"{cells:,}", *rates))
    text = f"red cells of the validation fields, threshold {threshold:.2f}\n{align(rows)}"
    return DetectionResult(*_rates(every, threshold), round(threshold, 2), text)


def _judge(field: AnnotatedField, ask: Ask) -> Judged:
    image = Image.fromarray(field.image)
    found = detect(image, field.diameter, ask, LEAST)
    found = found.chosen(np.flatnonzero(found.kinds == RED))
    boxes = [_to_box(box) for box in found.boxes]
    is_scored = field.is_sure & (field.kinds == RED)
    known, others = ([_to_box(box) for box in field.boxes[one]] for one in (is_scored, ~is_scored))
    pairs = match(boxes, known)
    free = [n for n in range(len(boxes)) if n not in pairs]
    left = [n for n in free if not touches_border(boxes[n], image.size)]
    if others and left:
        shared = overlaps([boxes[n] for n in left], others).max(axis=1)
        left = [n for n, share in zip(left, shared, strict=True) if share < LEFT_OUT]
    kept = sorted([*pairs, *left])
    return Judged(found.probabilities[kept], np.array([n in pairs for n in kept], bool), len(known))


def _to_box(box: np.ndarray) -> Box:
    left, top, width, height = np.round(box).astype(int).tolist()
    return Box(left, top, max(1, width), max(1, height))


def _rates(judged: Sequence[Judged], threshold: float) -> tuple[float, float]:
    """(recall, precision) at this threshold."""
    likely = [one.are_cells[one.probabilities >= threshold] for one in judged]
    right, found = sum(int(one.sum()) for one in likely), sum(len(one) for one in likely)
    return right / max(1, sum(one.known for one in judged)), right / max(1, found)


def _f1(recall: float, precision: float) -> float:
    return 2 * recall * precision / max(1e-9, recall + precision)
