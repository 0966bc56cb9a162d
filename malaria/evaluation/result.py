"""result: the one record of a model's answers on labelled images, and of their metrics."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import classification_report, confusion_matrix, roc_auc_score

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
from malaria.evaluation.verified import Sampling

# This many of the mistakes with the highest probability are named.
MISTAKES = 20
# What models that are compared have in common.
SUBJECT = ("label_names", "positive_label", "paths")


@dataclass(frozen=True, eq=False)
class Result:
    """A model's answers on n labelled images, and their metrics.

    paths, labels (n,) integers, probabilities (n, number of labels), groups (patients), sources
    (laboratories, where there are several): of each image, in one order. label_names: label 0
    first. positive_label: the one that sensitivity is of. model: the saved .h5 that was evaluated.
    resamples, seed: for the intervals. sampling: how the images were drawn from more, if by what
    they are called; then they count as they stand for these.
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
    sampling: Sampling | None = None

    @property
    def positive(self) -> int:
        """The index of the positive label."""
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
            sampling=self.sampling and self.sampling.of(images),
        )

    @property
    def weights(self) -> np.ndarray | None:
        """How often each image counts, (n,); None: once."""
        return self.sampling and self.sampling.weights

    @cached_property
    def scored(self) -> metrics.Scored:
        """As metrics.score. Raises UserError if there are no images."""
        return metrics.score(
            self.labels, self.probabilities, positive=self.positive, threshold=self.threshold
        )

    @cached_property
    def values(self) -> dict[str, float | None]:
        """{name of metrics.METRICS: number}; None where the labels leave it undefined."""
        weights = None if self.weights is None else self.weights[None]
        numbers = metrics.compute_metrics(self.scored, weights)[0]
        return {name: defined(x) for name, x in zip(metrics.METRICS, numbers, strict=True)}

    @cached_property
    def metrics(self) -> dict[str, Estimate]:
        """{name of metrics.METRICS: Estimate}, with 95 % intervals, which take a while."""
        known = {"resamples": self.resamples, "seed": self.seed}
        return estimate(self.scored, groups=self.groups, weights=self.weights, **known)

    @property
    def predicted(self) -> np.ndarray:
        """The label decided on for each image, (n,), integers."""
        return self.scored.predicted

    @property
    def confusion(self) -> list[list[int]]:
        """Counts: row = true label, column = predicted label."""
        places = range(len(self.label_names))
        counts = confusion_matrix(self.labels, self.predicted, labels=places)
        return [[int(count) for count in row] for row in counts]

    @property
    def counts(self) -> dict[str, int]:
        """{label: number of images}, in the order of the labels."""
        return dict(zip(self.label_names, map(sum, self.confusion), strict=True))

    @property
    def intervals(self) -> dict[str, Any]:
        """The method of the intervals, as plain values."""
        by_patient = self.groups is not None and are_known(self.groups)
        return {
            "method": "percentile bootstrap",
            "of_0_and_1": "Wilson's score interval",
            "level": LEVEL,
            "resampled": "patients" if by_patient else "images",
            "count": len(set(self.groups or ())) if by_patient else len(self.labels),
            "resamples": self.resamples,
            "seed": self.seed,
        }

    @cached_property
    def by_source(self) -> dict[str, "Result"]:
        """{source: the Result of its images}; {} where there are not two."""
        sources, names = np.array(self.sources), list(dict.fromkeys(self.sources or ()))
        if len(names) < 2:
            return {}
        return {name: self.of(np.flatnonzero(sources == name)) for name in names}

    @cached_property
    def by_label(self) -> dict[str, dict[str, float | None]]:
        """{label: {"sensitivity", "specificity", "auc"}}, against the rest; None if undefined."""
        return {name: self._against_rest(index) for index, name in enumerate(self.label_names)}

    def _against_rest(self, label: int) -> dict[str, float | None]:
        is_true, is_called = self.labels == label, self.predicted == label
        found, spared = is_called[is_true], ~is_called[~is_true]
        sensitivity, specificity = (float(x.mean()) if len(x) else None for x in (found, spared))
        auc = None
        if len(found) and len(spared):
            auc = float(roc_auc_score(is_true, self.probabilities[:, label]))
        return {"sensitivity": sensitivity, "specificity": specificity, "auc": auc}

    @property
    def classification_report(self) -> str:
        """scikit-learn's table of precision, recall and F1 by label, printable."""
        report: str = classification_report(
            *(self.labels, self.predicted),
            labels=range(len(self.label_names)),
            target_names=[printable(name) for name in self.label_names],
            digits=3,
            zero_division=0.0,
        )
        return report

    @property
    def mistakes(self) -> list[dict[str, Any]]:
        """[{"path", "true", "predicted", "probability"}] of misclassified images, surest first."""
        wrong = np.flatnonzero(self.predicted != self.labels)
        confidence = self.probabilities[wrong, self.predicted[wrong]]
        worst = np.argsort(-confidence, kind="stable")[:MISTAKES]
        return [
            {
                "path": str(self.paths[image]),
                "true": self.label_names[self.labels[image]],
                "predicted": self.label_names[self.predicted[image]],
                "probability": float(probability),
            }
            for image, probability in zip(wrong[worst], confidence[worst], strict=True)
        ]


def compare_with_first(results: dict[str, Result]) -> dict[str, Comparison]:
    """{name: Comparison} of each model but the first, minus the first.

    Raises UserError if they are not about the same images and labels.
    """
    (first_name, first), *others = results.items()
    comparisons = {}
    for name, other in others:
        if any(getattr(other, key) != getattr(first, key) for key in SUBJECT):
            raise UserError(
                f"{printable(name)} cannot be compared with {printable(first_name)}: expected the "
                f"same images and the labels {list(first.label_names)}; "
                f"received {list(other.label_names)}"
            )
        comparisons[name] = compare(
            *(other.scored, first.scored),
            groups=first.groups,
            resamples=first.resamples,
            seed=first.seed,
        )
    return comparisons
