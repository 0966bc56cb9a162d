"""journal: the rows of an interrupted --output, one JSON object a line, back as predictions.

The file lies where others may write, so that nothing in it is believed that this program could not
have written.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from typing import IO, Any

from malaria.base.errors import UserError
from malaria.inference.predict import are_probabilities
from malaria.inference.prediction import APART, REVIEW, UNLIKE, Prediction
from malaria.outputs.formats import Row
from malaria.pictures.box import Box
from malaria.pictures.remote_path import to_path

# Of a row, in bytes: none of ours is longer, and none may fill the memory.
LONGEST = 1_000_000
# Raised by `to_prediction` and json.loads for a row that is none of ours.
NOT_SOUND = (ValueError, LookupError, TypeError, AttributeError, RecursionError)


def lines_of(file: IO[bytes]) -> Iterator[bytes]:
    """The lines of the file. Raises UserError for one that is longer than LONGEST."""
    for line in iter(lambda: file.readline(LONGEST), b""):
        if len(line) == LONGEST:
            raise UserError(f"{file.name} is damaged: delete it to begin anew")
        yield line


def to_row(prediction: Prediction, labels: Sequence[str], *, fields: bool) -> Row:
    """The plain values of a prediction; labels: of the model, in its order."""
    known, box = prediction.probabilities, prediction.box
    return {
        "path": str(prediction.path),
        "label": prediction.label,
        "probability": prediction.probability,
        "probabilities": dict(zip(labels, known, strict=True)) if known is not None else None,
        "unlike": prediction.unlike,
        "note": prediction.note,
        "error": prediction.error,
        **({"box": list(astuple(box)) if box else None} if fields else {}),
    }


def to_prediction(row: Row, labels: Sequence[str], *, fields: bool) -> Prediction:
    """The prediction of a row that `to_row` may have given. Raises NOT_SOUND for another."""
    known = row["probabilities"]
    one = Prediction(
        to_path(row["path"]),
        row["label"],
        row["probability"],
        tuple(known.values()) if known else None,
        row["error"],
        unlike=row["unlike"],
        note=row["note"],
        box=Box(*row["box"]) if row.get("box") else None,
    )
    # Nothing is missing, and nothing else is there.
    if row != to_row(one, labels, fields=fields) or not _is_sound(one, labels, fields=fields):
        raise ValueError
    return one


def _is_sound(one: Prediction, labels: Sequence[str], *, fields: bool) -> bool:
    if fields and one.label in APART:
        is_share = type(one.probability) is float and 0 <= one.probability <= 1
        rest = one.probabilities, one.error, one.unlike, one.note
        return is_share and _has_sound_box(one) and rest == (None,) * 4
    known, texts = one.probabilities or (), (one.label, one.error, one.unlike, one.note)
    of_label: Any = dict(zip(labels, known, strict=False)).get(one.label or "")
    return (
        b"\0" not in os.fsencode(str(one.path))
        and all(isinstance(text, str) for text in texts if text is not None)
        and one.label in (*labels, REVIEW, UNLIKE, None)
        and all(isinstance(number, float) for number in known)
        and one.probability in ((known or (None,)) if of_label is None else (of_label,))
        and (are_probabilities(known), one.label is None) == (one.error is None, not known)
        and (one.box is not None) >= (fields and one.label is not None)
        and (one.box is None or _has_sound_box(one))
    )


def _has_sound_box(one: Prediction) -> bool:
    sides = astuple(one.box) if one.box else ("none",)
    return all(type(side) is int and side >= 0 for side in sides)
