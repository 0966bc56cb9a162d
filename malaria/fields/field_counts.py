"""field_counts: how many red cells each field, each patient and all have, and the parasitaemia."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from malaria.base.proportions import poisson
from malaria.base.text import natural_key
from malaria.evaluation.known_accuracy import DOUBTFUL
from malaria.evaluation.parasitaemia import (
    Accuracy,
    by_white_cells,
    cells_to_halve,
    corrected_share,
    design_effect,
    interval,
)
from malaria.fields.strangeness import strangeness
from malaria.inference.prediction import APART, AT_BORDER, LEUKOCYTE, UNLIKE, Prediction
from malaria.inference.trained_model import TrainedModel
from malaria.saved.metadata import Metadata


@dataclass
class FieldCounts:
    """How many cells of one field have each label; error: why there are none.

    doubted: those unlike a cell that the network gives the positive label. doubtful: those like a
    cell whose probability leaves a doubt.
    """

    group: str | None = None
    labels: Counter[str] = field(default_factory=Counter)
    doubted: int = 0
    doubtful: int = 0
    error: str | None = None

    def add(self, prediction: Prediction, model: TrainedModel) -> None:
        self.group = prediction.group
        if prediction.label is None:
            self.error = prediction.error
            return
        self.labels[prediction.label] += 1
        self.doubted += model.is_doubted(prediction)
        self.doubtful += is_doubtful(prediction, model.metadata.positive)


def is_doubtful(prediction: Prediction, positive: int) -> bool:
    """True of what is like a cell, if its probability of label `positive` leaves a doubt."""
    if prediction.unlike is not None or prediction.probabilities is None:
        return False
    low, high = DOUBTFUL
    return low < prediction.probabilities[positive] < high


def tally(
    fields: Sequence[FieldCounts],
    metadata: Metadata,
    *,
    accuracy: Accuracy | None = None,
    red_cells: float | None = None,
    white_cells: float | None = None,
) -> dict[str, Any]:
    """One row of the table of fields, of one field or of several.

    warning: that the laboratory is strange. parasitaemia: the share called positive; corrected: by
    the model's accuracy, None if that is not known. low, high: the 95 % interval of the corrected
    share, else of the other, as parasitaemia.interval; its design effect is from the spread between
    fields. Neither what is not decided, and left for a person, nor what is unlike a red cell counts
    as one; nor what was found and is not classified, by its labels. per microlitre: only where
    `red_cells` or `white_cells` in a microlitre are told, of low and high too; by the latter None
    without a leukocyte.
    """
    labels = sum((one.labels for one in fields), Counter[str]())
    decided, found = _decided(labels, metadata), labels[metadata.positive_label]
    strange = labels[UNLIKE] + sum(one.doubtful for one in fields)
    apart = {name: labels[name] for name in APART}
    cells = labels.total() - sum(apart.values())
    row = {
        "warning": strangeness(cells, strange, found, metadata),
        "red cells": decided,
        "positive": found,
        **_share(fields, metadata, accuracy),
        "not decided": cells - decided - labels[UNLIKE],
        "unlike": labels[UNLIKE],
        "doubted": sum(one.doubted for one in fields),
        **apart,
        "error": fields[0].error if len(fields) == 1 else None,
    }
    if white_cells:
        known = {"white cells per microlitre": white_cells}
        return row | known | _per_microlitre(row, _red_by_white_cells(row, white_cells))
    return row | (_per_microlitre(row, (red_cells,) * 3) if red_cells else {})


def _share(
    fields: Sequence[FieldCounts], metadata: Metadata, accuracy: Accuracy | None
) -> dict[str, Any]:
    pairs = [
        (one.labels[metadata.positive_label], _decided(one.labels, metadata)) for one in fields
    ]
    found, decided = (sum(numbers) for numbers in zip((0, 0), *pairs, strict=True))
    names = "parasitaemia", "corrected", "low", "high", "design effect", "cells to halve"
    if not decided:
        return dict.fromkeys(names)
    effect = design_effect(pairs)
    known = found, decided, accuracy, effect
    corrected = corrected_share(found, decided, accuracy) if accuracy else None
    values = found / decided, corrected, *interval(*known), effect, cells_to_halve(*known)
    return dict(zip(names, values, strict=True))


def _decided(labels: Counter[str], metadata: Metadata) -> int:
    return sum(labels[label] for label in metadata.labels)


def best_share(row: dict[str, Any]) -> float | None:
    """The corrected share where it is known, else the called one; None without cells."""
    share: float | None = row["parasitaemia"] if row["corrected"] is None else row["corrected"]
    return share


def _per_microlitre(row: dict[str, Any], red_cells: Sequence[float | None]) -> dict[str, Any]:
    """red_cells: per microlitre; the fewest and the most of them belong to low and high."""
    shares = {"": best_share(row), ", low": row["low"], ", high": row["high"]}
    return {
        f"per microlitre{end}": None if share is None or red is None else round(share * red)
        for (end, share), red in zip(shares.items(), red_cells, strict=True)
    }


def _red_by_white_cells(row: dict[str, Any], white_cells: float) -> list[float | None]:
    """Red cells per microlitre, the fewest and the most, by the leukocytes beside them.

    Both ends of two intervals together: wider than 95 %. Those cut by the border count on both
    sides.
    """
    red, white = row["red cells"] + row["not decided"] + row[AT_BORDER], row[LEUKOCYTE]
    low, high = poisson(white)
    return [by_white_cells(red, n, white_cells) if white else None for n in (white, high, low)]


def by_group(fields: dict[str, FieldCounts]) -> Iterator[tuple[str, list[FieldCounts]]]:
    """(patient, the counts of each of its fields), sorted; without unknown patients."""
    groups: dict[str, list[FieldCounts]] = {}
    for counts in fields.values():
        if counts.group is not None:
            groups.setdefault(counts.group, []).append(counts)
    for name in sorted(groups, key=natural_key):
        yield name, groups[name]
