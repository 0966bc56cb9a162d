"""evaluation: what models are worth on labelled images.

The sub-folders of a folder are the true labels. Of a matrix, rows are true labels and columns are
predicted ones.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from malaria.base.errors import UserError, printable
from malaria.evaluation import metrics
from malaria.evaluation.bootstrap import BINS, LEVEL, are_known, bin_of, compare, measure
from malaria.evaluation.decisions import decide


@dataclass(frozen=True, eq=False)
class Assessment:
    """A model's answers on n labelled images, and what they are worth.

    paths, labels (n,) integers, probabilities (n, number of labels), groups (patients, or None):
    of each image, in one order. names: of the labels. positive: its place among them.
    resamples, seed: for the intervals.
    """

    paths: list
    labels: np.ndarray
    probabilities: np.ndarray
    names: list[str]
    positive: int
    threshold: float
    groups: list | None = None
    resamples: int = 1000
    seed: int = 0

    @cached_property
    def figures(self):
        """{name: Figure}, see bootstrap.measure. Raises UserError if there are no images."""
        decision = {"positive": self.positive, "threshold": self.threshold}
        return measure(self.labels, self.probabilities, **decision, **self.resampling)

    @property
    def resampling(self):
        return {"groups": self.groups, "resamples": self.resamples, "seed": self.seed}

    @property
    def predicted(self):
        """The label decided on for each image, (n,) integers."""
        return decide(self.probabilities, positive=self.positive, threshold=self.threshold)

    @property
    def confusion(self):
        """Counts, one list for each true label."""
        count = len(self.names)
        return metrics.confusion_matrix(self.labels, self.predicted, label_count=count).tolist()

    @property
    def counts(self):
        """{label: number of images}, in the order of the labels."""
        return dict(zip(self.names, map(sum, self.confusion), strict=True))

    @property
    def intervals(self):
        """How the intervals of the figures are made, as plain values."""
        by_patient = are_known(self.groups)
        return {
            "method": "percentile bootstrap",
            "level": LEVEL,
            "resampled": "patients" if by_patient else "images",
            "count": len(set(self.groups)) if by_patient else len(self.labels),
            "resamples": self.resamples,
            "seed": self.seed,
        }

    @property
    def report(self):
        """scikit-learn's classification report, with names that can be printed."""
        names = [printable(name) for name in self.names]
        return metrics.classification_report(self.labels, self.predicted, names)

    @property
    def mistakes(self):
        """See `worst_mistakes`."""
        return worst_mistakes(
            self.paths, self.labels, self.probabilities, self.predicted, self.names
        )


def true_label(path, folder, labels):
    """The place in `labels` of the sub-folder of `folder` that holds `path`, or None."""
    first, *rest = Path(path).relative_to(folder).parts
    return labels.index(first) if rest and first in labels else None


def check_sub_folders(folder, labels):
    """Raise UserError unless a sub-folder of `folder` is named as one of the labels."""
    found = sorted(entry.name for entry in Path(folder).iterdir() if entry.is_dir())
    if not set(found) & set(labels):
        raise UserError(
            f"--evaluate: expected sub-folders of {printable(folder)} named "
            f"{printable(', '.join(labels))}; found {printable(', '.join(found[:20]) or 'none')}"
        )


def compare_with_first(assessments):
    """{name: Comparison} of each model but the first, minus the first, of {name: Assessment}.

    Raises UserError if they are not about the same images and labels.
    """
    (first_name, first), *others = assessments.items()
    comparisons = {}
    for name, other in others:
        if (other.names, other.positive, other.paths) != (first.names, first.positive, first.paths):
            raise UserError(
                f"{printable(name)} cannot be compared with {printable(first_name)}: expected the "
                f"same images and the labels {first.names}; received {other.names}"
            )
        comparisons[name] = compare(
            *(first.labels, other.probabilities, first.probabilities),
            positive=first.positive,
            thresholds=(other.threshold, first.threshold),
            **first.resampling,
        )
    return comparisons


def reliability(labels, probabilities, positive, bins=BINS):
    """[{"predicted", "observed", "count"}] of each bin of P(positive) with images, rising.

    predicted: the mean probability; observed: the share whose true label is the positive one.
    """
    probability, is_positive = probabilities[:, positive], labels == positive
    places = bin_of(probability, bins)
    return [
        {
            "predicted": float(probability[places == place].mean(dtype=np.float64)),
            "observed": float(is_positive[places == place].mean()),
            "count": int(np.sum(places == place)),
        }
        for place in np.unique(places)
    ]


def roc_points(labels, probabilities, positive, most=200):
    """{"false": [...], "true": [...]}: the ROC curve of the positive label against the rest.

    false: false positive rates; both rise from 0 to 1, or are empty if a label is absent. Of more
    than `most` points those are left out that are within 2 / (most - 1) of one that stays.
    """
    if len(np.unique(labels == positive)) < 2:
        return {"false": [], "true": []}
    false, true = metrics.roc_curve(labels, probabilities, positive)
    if len(false) > most:
        # Both rates only rise, so their sum is a distance along the curve.
        kept = np.unique(np.searchsorted(false + true, np.linspace(0, 2, most)))
        false, true = false[kept], true[kept]
    return {"false": false.tolist(), "true": true.tolist()}


def worst_mistakes(paths, labels, probabilities, predicted, names, most=20):
    """[{"path", "true", "predicted", "probability"}] of wrongly labelled images, surest first.

    probability: of the predicted label. Images that were given a wrong label turn up here too.
    """
    wrong = np.flatnonzero(predicted != labels)
    sureness = probabilities[wrong, predicted[wrong]]
    return [
        {
            "path": str(paths[image]),
            "true": names[labels[image]],
            "predicted": names[predicted[image]],
            "probability": float(probabilities[image, predicted[image]]),
        }
        for image in wrong[np.argsort(-sureness, kind="stable")][:most]
    ]
