"""scale: how large the red cells of a field are, found by looking at several scales."""

from typing import NamedTuple

import numpy as np
from PIL import Image

from malaria.fields.detect import DIAMETER, RED, Ask, Objects, detect

# Diameters of a red cell in the field, pixels, at which it is looked at: each finds cells from half
# of it to nearly twice.
DIAMETERS = (200, 80, 32, 13)
# Of a field that is larger at this scale its middle of this side, pixels, is enough.
LOOKED_AT = 640
# So much of what is looked at must be covered by red cells, likely ones, to stop looking.
COVERED = 0.04
# A network's red cells have from and up to this side, pixels, where it knows them well.
SMALLEST, LARGEST = 11, 46


class Guess(NamedTuple):
    """diameter: of a red cell, pixels of the field. score: the share that likely cells cover."""

    diameter: float
    score: float


def find_diameter(field: Image.Image, ask: Ask) -> float | None:
    """The typical diameter of a red cell in a field, RGB, in its pixels; None without any."""
    best: Guess | None = None
    for diameter in DIAMETERS:
        guess = look_at(field, diameter, ask)
        if guess is not None and (best is None or guess.score > best.score):
            best = guess
    return None if best is None else best.diameter


def look_at(field: Image.Image, diameter: float, ask: Ask) -> Guess | None:
    """The Guess of the middle of a field, where its cells are taken to have this diameter."""
    scale = DIAMETER / diameter
    width, height = (min(side, round(LOOKED_AT / scale)) for side in field.size)
    left, top = (field.width - width) // 2, (field.height - height) // 2
    area = (left, top, left + width, top + height)
    size = max(16, round(width * scale)), max(16, round(height * scale))
    part = field.resize(size, Image.Resampling.BILINEAR, box=area, reducing_gap=2)
    found = detect(np.asarray(part), ask)
    return _guess(found, size[0] * size[1], scale)


def _guess(found: Objects, area: int, scale: float) -> Guess | None:
    sides = np.sqrt(found.boxes[:, 2] * found.boxes[:, 3])
    is_known = (found.kinds == RED) & (sides >= SMALLEST) & (sides <= LARGEST)
    if not is_known.any():
        return None
    score = float((found.probabilities[is_known] * sides[is_known] ** 2).sum() / area)
    return Guess(float(np.median(sides[is_known])) / scale, score)
