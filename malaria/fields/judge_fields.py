"""judge_fields: what a detector found in fields, and what was said of it, against annotations."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from malaria.annotations.annotation_records import Annotated
from malaria.annotations.cell_kinds import NOT_RED, RED
from malaria.annotations.matching import match, overlaps, touches_border
from malaria.inference.prediction import LEUKOCYTE, PLATELETS, UNLIKE, Prediction
from malaria.pictures.box import Box

# A found box with this share of one that is left out of the score is neither right nor wrong.
LEFT_OUT = 0.3


@dataclass
class JudgedField:
    """One field. Only whole cells count: those at its border are left out, as difficult ones are.

    pairs: a cell that was found, and the prediction of it. missed: cells that were not. wrong:
    found boxes that are no cell; None where not every cell is annotated. others: white cells,
    platelets and the like; others_taken: how many of them were found, and not called unlike.
    group: the patient. told, true: how many cells have each label by the program, and each kind by
    the annotators: cells at the border too, but no difficult ones.
    """

    name: str
    pairs: list[tuple[Annotated, Prediction]] = field(default_factory=list)
    missed: list[Annotated] = field(default_factory=list)
    wrong: list[Prediction] | None = None
    others: int = 0
    others_taken: int = 0
    group: str | None = None
    told: Counter[str] = field(default_factory=Counter)
    true: Counter[str] = field(default_factory=Counter)


def judge_field(
    found: Sequence[Prediction],
    known: Sequence[Annotated],
    *,
    size: tuple[int, int],
    is_complete: bool,
) -> JudgedField:
    """The JudgedField of all predictions of one field, of this (width, height).

    A row with an error, as of a field in which nothing was found, is no box.
    """
    red = [one for one in found if one.label not in (LEUKOCYTE, PLATELETS)]
    boxed = [(one, one.box) for one in red if one.box is not None]
    boxes = [box for _, box in boxed]
    scored = [one.kind in RED and not touches_border(one.box, size) for one in known]
    cells = [one for one, counts in zip(known, scored, strict=True) if counts]
    unscored = [one.box for one, counts in zip(known, scored, strict=True) if not counts]
    pairs = match(boxes, [one.box for one in cells])
    others = [one for one in known if one.kind in NOT_RED]
    judged = JudgedField(str(found[0].path), others=len(others))
    judged.pairs = [(cells[place], boxed[number][0]) for number, place in pairs.items()]
    judged.missed = [one for place, one in enumerate(cells) if place not in pairs.values()]
    left = [n for n in range(len(boxed)) if n not in pairs and not touches_border(boxes[n], size)]
    if is_complete:
        free = _apart([boxes[number] for number in left], unscored)
        judged.wrong = [boxed[n][0] for n, is_free in zip(left, free, strict=True) if is_free]
    taken = [box for one, box in boxed if one.label != UNLIKE]
    judged.others_taken = len(match(taken, [one.box for one in others], LEFT_OUT))
    difficult = match(boxes, [one.box for one in known if one.kind == "difficult"], LEFT_OUT)
    doubtful = {id(boxed[number][0]) for number in difficult if number not in pairs}
    judged.told = Counter(one.label for one, _ in boxed if one.label and id(one) not in doubtful)
    judged.true = Counter(one.kind for one in known if one.kind in RED)
    judged.group = found[0].group
    return judged


def _apart(boxes: Sequence[Box], others: Sequence[Box]) -> list[bool]:
    """Whether each of the boxes has less than LEFT_OUT of any other one."""
    if not boxes or not others:
        return [True] * len(boxes)
    return (overlaps(boxes, others).max(axis=1) < LEFT_OUT).tolist()
