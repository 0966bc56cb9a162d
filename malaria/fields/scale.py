"""scale: how large the red cells of a field are, found by looking at several scales."""

from typing import NamedTuple

import numpy as np
from PIL import Image

from malaria.fields.detect import DIAMETER, RED, Ask, Objects, detect

# Diameters of a red cell in the field, pixels, at which it is looked at: each finds cells from half
# of it to nearly twice.
DIAMETERS = (200, 80, 32, 13)
# Of a field that is larger at a scale its middle of this side, pixels of the network, is enough.
LOOKED_AT = 400
# The power of a cell's probability by which it counts. At a wrong scale clumps and parts look a
# little like cells, and cover as much: on 130 fields of six laboratories probabilities were .33 to
# .5 on average there, and .6 and more at the right one.
POWER = 3
# So many cells count half: one large thing alone may be a ring of cells.
ALONE = 2
# How often the scale is corrected by the cells that it shows.
STEPS = 2
# Red cells of and up to this side, pixels of the network, are those that it knows well.
SMALLEST, LARGEST = 11, 46


class Guess(NamedTuple):
    """diameter: of a red cell, pixels of the field. covered: the share that sure cells cover."""

    diameter: float
    covered: float


def find_diameter(field: Image.Image, ask: Ask) -> float | None:
    """The typical diameter of a red cell in a field, RGB or grey, pixels; None without any."""
    guesses = [guess_at(field, diameter, ask) for diameter in DIAMETERS]
    best = max(guesses, key=lambda guess: guess.covered)
    if best.covered == 0:
        return None
    for _ in range(STEPS):
        again = guess_at(field, best.diameter, ask)
        best = again if again.covered else best
    return best.diameter


def guess_at(field: Image.Image, diameter: float, ask: Ask) -> Guess:
    """The Guess by the middle of a field, where its cells are taken to have this diameter."""
    step = diameter / DIAMETER
    width, height = (min(side, LOOKED_AT * step) for side in field.size)
    left, top = (field.width - width) / 2, (field.height - height) / 2
    found = detect(field, diameter, ask, area=(left, top, left + width, top + height))
    return _guess(found, width * height, step)


def _guess(found: Objects, area: float, step: float) -> Guess:
    sides = found.sides
    is_known = (sides >= SMALLEST * step) & (sides <= LARGEST * step) & (found.kinds == RED)
    if not is_known.any():
        return Guess(0.0, 0.0)
    covered = (found.probabilities[is_known] ** POWER * sides[is_known] ** 2).sum() / area
    alone = is_known.sum() / (is_known.sum() + ALONE)
    return Guess(float(np.median(sides[is_known])), float(covered * alone))
