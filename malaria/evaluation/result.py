"""result: the one record of a model's answers on labelled images, and what they are worth."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from malaria.base.errors import UserError
from malaria.base.text import printable
from malaria.evaluation import metrics
from malaria.evaluation.bootstrap import (
    LEVEL,
    RESAMPLES,
    Comparison,
    Estimate,
    Groups,
    are_known,
    compare,
    defined,
    estimate,
)

# So many of the surest mistakes are named.
MISTAKES = 20


@dataclass(frozen=True, eq=False)
class Result:
    """A model's answers on n labelled images, and what they are worth.

    paths, labels (n,) integers, probabilities (n, number of labels), groups (patients, or None):
    of each image, in one order; sources: the laboratory or data set of each, where several are
    judged together. label_names: label 0 first. positive_label: the one that
    sensitivity is of. model: the saved .h5 that was judged, where there is one. resamples, seed:
    for the intervals.
    """

    paths: list[str]
    labels: np.ndarray
    probabilities: np.ndarray
    label_names: tuple[str, ...]
    positive_label: str
    threshold: float
    groups: Groups = None
    sources: list[str] | None = None
    model: Path | None = None
    resamples: int = RESAMPLES
    seed: int = 0

    @property
    def positive(self) -> int:
        """The place of the positive label among the labels."""
        return self.label_names.index(self.positive_label)

    def of(self, images: np.ndarray) -> "Result":
        """The Result of some of the images, by their indices."""
        return replace(
            self,
            paths=[self.paths[image] for image in images],
            labels=self.labels[images],
            probabilities=self.probabilities[images],
            groups=[self.groups[image] for image in images] if self.groups else None,
            sources=[self.sources[image] for image in images] if self.sources else None,
        )

    @cached_property
    def scored(self) -> metrics.Scored:
        """What the metrics are sums of. Raises UserError if there are no images."""
        return metrics.score(
            self.labels, self.probabilities, positive=self.positive, threshold=self.threshold
        )

    @cached_property
    def values(self) -> dict[str, float | None]:
        """{name of metrics.METRICS: number}; None where the labels leave it undefined."""
        numbers = metrics.compute_metrics(self.scored)[0]
        return {name: defined(x) for name, x in zip(metrics.METRICS, numbers, strict=True)}

    @cached_property
    def metrics(self) -> dict[str, Estimate]:
        """{name of metrics.METRICS: Estimate}, with 95 % intervals, which take a while."""
        return estimate(self.scored, groups=self.groups, resamples=self.resamples, seed=self.seed)

    @property
    def predicted(self) -> np.ndarray:
        """The label decided on for each image, (n,), integers."""
        return self.scored.predicted

    @property
    def confusion(self) -> list[list[int]]:
        """Counts: row = true label, column = predicted label."""
        count = len(self.label_names)
        matrix: list[list[int]] = metrics.confusion_matrix(
            self.labels, self.predicted, label_count=count
        ).tolist()
        return matrix

    @property
    def counts(self) -> dict[str, int]:
        """{label: number of images}, in the order of the labels."""
        return dict(zip(self.label_names, map(sum, self.confusion), strict=True))

    @property
    def intervals(self) -> dict[str, Any]:
        """How the intervals of the metrics are made, as plain values."""
        by_patient = self.groups is not None and are_known(self.groups)
        return {
            "method": "percentile bootstrap",
            "level": LEVEL,
            "resampled": "patients" if by_patient else "images",
            "count": len(set(self.groups or ())) if by_patient else len(self.labels),
            "resamples": self.resamples,
            "seed": self.seed,
        }

    @cached_property
    def by_source(self) -> dict[str, "Result"]:
        """{source: the Result of its images}; {} where there are not two."""
        sources = np.array(self.sources or [])
        names = list(dict.fromkeys(self.sources or []))
        if len(names) < 2:
            return {}
        return {name: self.of(np.flatnonzero(sources == name)) for name in names}

    @cached_property
    def by_label(self) -> dict[str, dict[str, float | None]]:
        """{label: {"sensitivity", "specificity", "auc"}}, each label against the rest.

        None where a label is not there.
        """
        return {name: self._against_rest(place) for place, name in enumerate(self.label_names)}

    def _against_rest(self, label: int) -> dict[str, float | None]:
        one = self.probabilities[:, label]
        is_true = (self.labels == label).astype(int)
        scored = metrics.score(
            is_true, np.stack([1 - one, one], axis=1), positive=1, threshold=self.threshold
        )
        auc = metrics.compute_metrics(scored)[0][metrics.METRICS.index("auc")]
        called = self.predicted == label
        shares = (called[is_true == 1], ~called[is_true == 0])
        sensitivity, specificity = (float(x.mean()) if len(x) else None for x in shares)
        return {"sensitivity": sensitivity, "specificity": specificity, "auc": defined(auc)}

    @property
    def classification_report(self) -> str:
        """scikit-learn's table by label."""
        return metrics.classification_report(self.labels, self.predicted, self.label_names)

    @property
    def mistakes(self) -> list[dict[str, Any]]:
        """[{"path", "true", "predicted", "probability"}] of wrongly labelled images, surest first.

        probability: of the predicted label. Images whose folder is wrong turn up here too.
        """
        wrong = np.flatnonzero(self.predicted != self.labels)
        sureness = self.probabilities[wrong, self.predicted[wrong]]
        surest = wrong[np.argsort(-sureness, kind="stable")][:MISTAKES]
        return [self._describe_mistake(image) for image in surest]

    def _describe_mistake(self, image: int) -> dict[str, Any]:
        predicted = self.predicted[image]
        return {
            "path": str(self.paths[image]),
            "true": self.label_names[self.labels[image]],
            "predicted": self.label_names[predicted],
            "probability": float(self.probabilities[image, predicted]),
        }


def compare_with_first(results: dict[str, Result]) -> dict[str, Comparison]:
    """{name: Comparison} of each model but the first, minus the first, of {name: Result}.

    Raises UserError if they are not about the same images and labels.
    """
    (first_name, first), *others = results.items()
    comparisons = {}
    for name, other in others:
        if _subject(other) != _subject(first):
            raise UserError(
                f"{printable(name)} cannot be compared with {printable(first_name)}: expected the "
                f"same images and the labels {list(first.label_names)}; "
                f"received {list(other.label_names)}"
            )
        comparisons[name] = compare(
            *(first.labels, other.scored, first.scored),
            groups=first.groups,
            resamples=first.resamples,
            seed=first.seed,
        )
    return comparisons


def _subject(result: Result) -> tuple[Any, ...]:
    return result.label_names, result.positive_label, result.paths
