"""agreement: judged fields together: cells found, labels right, parasitaemia told against true."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from malaria.annotations.cell_kinds import RED
from malaria.base.proportions import wilson
from malaria.base.text import natural_key
from malaria.evaluation.bland_altman import Pair, compare
from malaria.fields.judge_fields import JudgedField
from malaria.inference.prediction import REVIEW, UNLIKE

TRUE_LABELS = ("parasitized", "uninfected")


@dataclass(frozen=True)
class Agreement:
    """What all judged fields come to. labels, positive: of the model."""

    fields: Sequence[JudgedField]
    labels: Sequence[str]
    positive: str

    @property
    def complete(self) -> list[JudgedField]:
        """The fields in which every cell is annotated: others tell no precision and no share."""
        return [one for one in self.fields if one.wrong is not None]

    @property
    def found(self) -> tuple[int, int]:
        """(whole annotated red cells that were found, all of them)."""
        right = sum(len(one.pairs) for one in self.fields)
        return right, right + sum(len(one.missed) for one in self.fields)

    @property
    def precise(self) -> tuple[int, int]:
        """(found boxes that are whole cells, all that are or are wrong), of `complete`."""
        right = sum(len(one.pairs) for one in self.complete)
        return right, right + sum(len(one.wrong or ()) for one in self.complete)

    @property
    def others(self) -> tuple[int, int]:
        """(annotated white cells, platelets and the like that were taken for red ones, all)."""
        return sum(one.others_taken for one in self.fields), sum(one.others for one in self.fields)

    def by_kind(self) -> dict[str, dict[str, int]]:
        """{kind of cell as annotated: how many there are, were found, and were called what}."""
        return {kind: counts for kind in RED if (counts := self._count(kind))["annotated"]}

    def _count(self, kind: str) -> dict[str, int]:
        called = [
            one.label for each in self.fields for cell, one in each.pairs if cell.kind == kind
        ]
        missed = sum(cell.kind == kind for each in self.fields for cell in each.missed)
        others = [name for name in self.labels if name != self.positive]
        return {
            "annotated": len(called) + missed,
            "found": len(called),
            "called_positive": called.count(self.positive),
            "called_otherwise": sum(called.count(name) for name in others),
            "unlike": called.count(UNLIKE),
            "review": called.count(REVIEW),
        }

    def rate(self, kind: str, *, positive: bool) -> tuple[int, int]:
        """(cells of this kind called positive, or called otherwise; all that were decided on)."""
        counts = self._count(kind)
        sides = counts["called_otherwise"], counts["called_positive"]
        return sides[positive], sum(sides)

    def pairs(self) -> dict[str, dict[str, Pair]]:
        """The parasitaemia of each field and each patient, by name, where both sides know one.

        As counted: the share of the positive label among the cells that were decided on.
        """
        patients = {one.group for one in self.complete if one.group is not None}
        groups = {
            name: [one for one in self.complete if one.group == name]
            for name in sorted(patients, key=natural_key)
        }
        return {
            "fields": dict(self._pair({one.name: [one] for one in self.complete})),
            "patients": dict(self._pair(groups)),
        }

    def _pair(self, groups: dict[str, list[JudgedField]]) -> Iterator[tuple[str, Pair]]:
        for name, fields in groups.items():
            told = _share_of([one.told for one in fields], self.labels, self.positive)
            true = _share_of([one.true for one in fields], TRUE_LABELS, TRUE_LABELS[0])
            if told is not None and true is not None:
                yield name, Pair(told, true)

    def to_entries(self) -> dict[str, Any]:
        """Plain values for metrics.json."""
        pairs = self.pairs()
        return {
            "fields": len(self.fields),
            "fields_annotated_completely": len(self.complete),
            "cells": self.by_kind(),
            "recall": _entry(*self.found),
            "precision": _entry(*self.precise),
            "other_things_counted_as_red": _entry(*self.others),
            "sensitivity_of_the_found": _entry(*self.rate("parasitized", positive=True)),
            "specificity_of_the_found": _entry(*self.rate("uninfected", positive=False)),
            "parasitaemia": {
                level: compare([*some.values()])
                | {"each": {name: one._asdict() for name, one in some.items()}}
                for level, some in pairs.items()
            },
            "by_field": [_field_entry(one) for one in self.fields],
        }


def _share_of(counts: Sequence[Counter[str]], labels: Sequence[str], positive: str) -> float | None:
    decided = sum(each[label] for each in counts for label in labels)
    return sum(each[positive] for each in counts) / decided if decided else None


def _entry(count: int, total: int) -> dict[str, Any]:
    low, high = wilson(count, total)
    known = (count / total, low, high) if total else (None,) * 3
    return {"count": count, "of": total, **dict(zip(("value", "low", "high"), known, strict=True))}


def _field_entry(one: JudgedField) -> dict[str, Any]:
    return {
        "name": one.name,
        "patient": one.group,
        "annotated": len(one.pairs) + len(one.missed),
        "found": len(one.pairs),
        "wrong": None if one.wrong is None else len(one.wrong),
    }
