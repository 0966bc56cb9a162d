"""metrics: numbers from labels and probabilities.

Everywhere: labels (n,), integers; probabilities (n, number of labels), each row adding up to 1, in
the order of the labels. Positive is one named label; of a matrix, rows are true labels and columns
are predicted labels.
"""

from dataclasses import dataclass

import numpy as np
from sklearn import metrics as sklearn_metrics

from malaria.evaluation.decisions import decide


@dataclass(frozen=True)
class Evaluation:
    """How well labels were predicted. sensitivity and specificity are None beyond two labels.

    A figure that the labels leave undefined, since one of them is absent, is NaN.
    """

    count: int
    accuracy: float
    loss: float
    auc: float
    sensitivity: float | None
    specificity: float | None
    confusion: list[list[int]]
    report: str


def evaluate(labels, probabilities, *, names, positive, threshold=0.5):
    """The Evaluation of these predictions. names: of the labels, in order."""
    predicted = decide(probabilities, positive=names.index(positive), threshold=threshold)
    confusion = confusion_matrix(labels, predicted, label_count=len(names))
    sensitivity, specificity = None, None
    if len(names) == 2:
        with np.errstate(invalid="ignore"):
            recall = confusion.diagonal() / confusion.sum(axis=1)
        sensitivity = float(recall[names.index(positive)])
        specificity = float(recall[1 - names.index(positive)])
    return Evaluation(
        count=len(labels),
        accuracy=float(np.mean(predicted == labels)),
        loss=cross_entropy(labels, probabilities),
        auc=area_under_roc(labels, probabilities),
        sensitivity=sensitivity,
        specificity=specificity,
        confusion=confusion.tolist(),
        report=classification_report(labels, predicted, names),
    )


def confusion_matrix(labels, predicted, *, label_count):
    """Counts, (label_count, label_count): row = true label, column = predicted label."""
    return sklearn_metrics.confusion_matrix(labels, predicted, labels=range(label_count))


def cross_entropy(labels, probabilities):
    """Mean of -log(probability of the true label), in nats, with Keras's clip at 1e-7."""
    true = np.asarray(probabilities, np.float64)[np.arange(len(labels)), labels]
    return float(-np.log(np.clip(true, 1e-7, 1 - 1e-7)).mean())


def area_under_roc(labels, probabilities):
    """AUC for two labels; the mean over one label against the rest for more.

    A label that is absent, or alone, has no area and is left out; with none left it is NaN.
    """
    count = probabilities.shape[1]
    areas = [
        sklearn_metrics.roc_auc_score(labels == label, probabilities[:, label])
        for label in ([1] if count == 2 else range(count))
        if 0 < np.sum(labels == label) < len(labels)
    ]
    return float(np.mean(areas)) if areas else float("nan")


def roc_curve(labels, probabilities, label):
    """(false positive rates, true positive rates) for `label` against the rest."""
    false, true, _ = sklearn_metrics.roc_curve(labels == label, probabilities[:, label])
    return false, true


def classification_report(labels, predicted, names):
    """scikit-learn's table of precision, recall and F1 by label, as text."""
    return sklearn_metrics.classification_report(
        labels, predicted, labels=range(len(names)), target_names=names, digits=3, zero_division=0.0
    )
