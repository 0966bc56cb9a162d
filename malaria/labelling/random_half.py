"""random_half: of labelled cells those drawn at random, by which a model is measured."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from malaria.base.errors import UserError
from malaria.base.text import printable, quote
from malaria.evaluation.result import Result
from malaria.evaluation.verified import Sampling
from malaria.inference.prediction import UNLIKE, Prediction
from malaria.labelling.label_table import RANDOM, SKIPPED, LabelRow
from malaria.saved.metadata import Metadata

Pair = tuple[LabelRow, Prediction]


class RandomHalf(NamedTuple):
    """places: of the pairs that measure a model. sampling: how these were drawn.

    unlike: the share of all cells that the guard marks as no single cell, 0..1.
    """

    places: np.ndarray
    sampling: Sampling
    unlike: float


def find_random_half(pairs: Sequence[Pair], labels: Sequence[str]) -> RandomHalf:
    """The random ones of cells that have a label and that the model gives one of `labels`.

    What the guard marks, and what is left to a person, is in no parasitaemia, and so not here. Of
    those drawn at other times others are left: they are a stratum of their own.
    """
    drawn: dict[tuple[str, float | None], list[int]] = defaultdict(list)
    sizes: dict[tuple[str, float | None], float] = defaultdict(float)
    marked = every = 0.0
    for place, (row, cell) in enumerate(pairs):
        if row.why != RANDOM or cell.label is None:
            continue
        count = row.stands_for or 0.0
        every, marked = every + count, marked + count * (cell.label == UNLIKE)
        if cell.label in labels:
            sizes[row.called, row.stands_for] += count
            if row.label != SKIPPED:
                drawn[row.called, row.stands_for].append(place)
    strata = [np.full(len(places), number) for number, places in enumerate(drawn.values())]
    stands_for = [np.full(len(places), sizes[key] / len(places)) for key, places in drawn.items()]
    return RandomHalf(
        np.array([place for places in drawn.values() for place in places], np.int64),
        Sampling(np.concatenate([*strata, []]), np.concatenate([*stands_for, []])),
        marked / (every or 1),
    )


def to_result(pairs: Sequence[Pair], half: RandomHalf, metadata: Metadata) -> Result:
    """The Result of the random half; what is no single red cell counts as another label.

    No cell of a field, or of a patient where it is known, is ever on both sides of a split. Raises
    UserError if no cell is left, or of a model of more than two labels what is no red cell.
    """
    chosen = [pairs[place] for place in half.places]
    if not chosen:
        raise UserError(
            "none of the cells was drawn at random, has a label and is a red cell to the model"
        )
    return Result(
        paths=[str(cell.path) for _, cell in chosen],
        labels=np.array([_label_of(row, metadata) for row, _ in chosen]),
        probabilities=np.array([cell.probabilities for _, cell in chosen]),
        label_names=metadata.labels,
        positive_label=metadata.positive_label,
        threshold=metadata.threshold,
        groups=[row.patient or str(row.path) for row, _ in chosen],
        sampling=half.sampling,
    )


def _label_of(row: LabelRow, metadata: Metadata) -> int:
    if row.label in metadata.labels:
        return metadata.labels.index(row.label)
    if len(metadata.labels) > 2:
        raise UserError(
            f"{printable(row.path)}: expected a label of {list(metadata.labels)}; received "
            f"{quote(row.label)}"
        )
    return 1 - metadata.positive
