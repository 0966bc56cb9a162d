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
    """How many cells of one field, or of several, have each label; error: why there are none."""

    group: str | None = None
    labels: Counter[str] = field(default_factory=Counter)
    error: str | None = None

    def add(self, prediction: Prediction) -> None:
        self.group = prediction.group
        if prediction.label is None:
            self.error = prediction.error
        else:
            self.labels[prediction.label] += 1


def tally(counts: FieldCounts, labels: Sequence[str], positive: str) -> dict[str, Any]:
    """One row of the table of fields; labels: of the model.

    low, high: the 95 % interval (Wilson) of the parasitaemia. Neither what is not decided, and left
    for a person, nor what is unlike a red cell counts as one.
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
    return FieldCounts(labels=sum((counts.labels for counts in fields), Counter()))
