"""field_counts: how many red cells each field, each patient and all have, and the parasitaemia."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from malaria.base.proportions import wilson
from malaria.base.text import natural_key
from malaria.inference.prediction import UNLIKE, Prediction


@dataclass
class FieldCounts:
    """The cells found in one field, or in several.

    labels: how many cells have each label, of the model or not. error: why there are none.
    """

    group: str | None = None
    labels: Counter[str] = field(default_factory=Counter)
    error: str | None = None

    def add(self, prediction: Prediction) -> None:
        """Count one cell, or keep why there is none."""
        self.group = prediction.group
        if prediction.label is None:
            self.error = prediction.error
        else:
            self.labels[prediction.label] += 1


def tally(counts: FieldCounts, labels: Sequence[str], positive: str) -> dict[str, Any]:
    """One row of the table of fields; labels: of the model.

    parasitaemia: the share of red cells; low, high: its 95 % interval (Wilson). not decided: left
    for a person. unlike: what was cut out and is no red cell; neither counts as one.
    """
    decided = sum(counts.labels[label] for label in labels)
    found, unlike = counts.labels[positive], counts.labels[UNLIKE]
    low, high = wilson(found, decided)
    return {
        "red cells": decided,
        "positive": found,
        "parasitaemia": found / decided if decided else None,
        "low": low if decided else None,
        "high": high if decided else None,
        "not decided": counts.labels.total() - decided - unlike,
        "unlike": unlike,
        "error": counts.error,
    }


def by_group(fields: dict[str, FieldCounts]) -> Iterator[tuple[str, FieldCounts, int]]:
    """(patient, the counts of all its fields, how many these are), sorted; without unknown ones."""
    groups: dict[str, list[FieldCounts]] = {}
    for counts in fields.values():
        if counts.group is not None:
            groups.setdefault(counts.group, []).append(counts)
    for name in sorted(groups, key=natural_key):
        yield name, add_up(groups[name]), len(groups[name])


def add_up(fields: Sequence[FieldCounts]) -> FieldCounts:
    """The counts of all these fields together."""
    total: Counter[str] = sum((counts.labels for counts in fields), Counter())
    return FieldCounts(labels=total)
