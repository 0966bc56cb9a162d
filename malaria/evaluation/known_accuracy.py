"""known_accuracy: the record, in a model's metadata, of what it gets wrong, written and read."""

from typing import Any

import numpy as np

from malaria.evaluation.decisions import decide
from malaria.evaluation.parasitaemia import Accuracy, design_effect
from malaria.evaluation.thresholds import COUNTING, choose_threshold
from malaria.evaluation.verified import Sampling
from malaria.saved.metadata import Metadata

# What decides a label: measured with another one, a record does not hold.
DECIDES = ("labels", "positive_label", "threshold", "tta")
METRICS = ("sensitivity", "specificity")
# More cells or more alike than this is no record, but damage.
MOST = 1e12
# A probability of the positive label between these is doubtful.
DOUBTFUL = (0.1, 0.9)


def to_record(
    labels: np.ndarray,
    probabilities: np.ndarray,
    predicted: np.ndarray,
    *,
    positive: int,
    members: np.ndarray,
    unlike: float = 0.0,
    sampling: Sampling | None = None,
) -> dict[str, Any]:
    """Entries that `known_accuracy` and fields/strangeness.py read, of n labelled cells.

    labels, predicted: (n,), integers; probabilities: (n, number of labels); members: the number of
    the patient of each, as bootstrap.group_members gives it; unlike: the share that the guard
    marks; sampling: as of a Result. `settings_of` the model belong beside them.
    """
    count, of_positive, (low, high) = probabilities.shape[1], probabilities[:, positive], DOUBTFUL
    is_positive, is_called = labels == positive, predicted == positive
    doubtful = (low < of_positive) & (of_positive < high)
    if sampling and count == 2:
        accuracy = sampling.accuracy(is_positive, is_called)
        strange = unlike + float(np.average(doubtful, weights=sampling.weights))
        return {"confusion": _confusion_of(accuracy, positive), "strange": strange}
    confusion = np.bincount(labels * count + predicted, minlength=count**2).reshape(count, count)
    return {
        "confusion": confusion.tolist(),
        "design_effects": {
            "sensitivity": _effect(is_called[is_positive], members[is_positive]),
            "specificity": _effect(~is_called[~is_positive], members[~is_positive]),
        },
        "strange": unlike + float(doubtful.mean()),
    }


def _confusion_of(accuracy: Accuracy, positive: int) -> list[list[float]]:
    """Counts of a simple sample that tells as much: row = true label, column = called label."""
    found, spared = accuracy.sensitivity, accuracy.specificity
    counts = np.array([[found, 1 - found], [1 - spared, spared]])
    counts *= [[accuracy.positives], [accuracy.negatives]]
    return (counts if positive == 0 else counts[::-1, ::-1]).tolist()


def counting_of(labels: np.ndarray, probabilities: np.ndarray, **known: Any) -> dict[str, Any]:
    """{COUNTING: a record with its own threshold}, for few positive cells among many.

    It belongs into the record of the same cells; {} beyond two labels, and of cells of one only.
    known: as of `to_record`.
    """
    if probabilities.shape[1] != 2 or len(np.unique(labels)) < 2:
        return {}
    positive, sampling = known["positive"], known.get("sampling")
    weights = sampling and sampling.weights
    threshold = choose_threshold(
        labels, probabilities, positive=positive, rule=COUNTING, weights=weights
    )
    predicted = decide(probabilities, positive=positive, threshold=threshold)
    record = to_record(labels, probabilities, predicted, **known)
    return {COUNTING: {"threshold": threshold, **record}}


def counting_threshold(metadata: Metadata) -> float | None:
    """The threshold for few positive cells among many that the model's record has, or None."""
    known = _record(metadata).get(COUNTING)
    threshold = known.get("threshold") if isinstance(known, dict) else None
    return threshold if isinstance(threshold, float) and 0 <= threshold <= 1 else None


def settings_of(metadata: Metadata) -> dict[str, Any]:
    """{"measured_at": what decides a label}."""
    entries = metadata.to_entries()
    return {"measured_at": {name: entries[name] for name in DECIDES}}


def known_accuracy(metadata: Metadata) -> Accuracy | str:
    """The Accuracy of the model as it decides now, or why none is known, for people.

    That of a calibration, which is cross-fitted, else of the training's validation.
    """
    record = find_record(metadata)
    accuracy = _parse(record, metadata.positive, len(metadata.labels))
    if accuracy is None:
        return "the model does not say its sensitivity and specificity; --calibrate measures them"
    earlier = {"tta": False} | metadata.details
    measured, used = record.get("measured_at", earlier), settings_of(metadata)["measured_at"]
    measured = measured if isinstance(measured, dict) else {}
    changed = [name for name in DECIDES if measured.get(name) != used[name]]
    if changed:
        names = " and ".join(changed).replace("_", " ")
        return f"its sensitivity and specificity were measured with another {names}"
    if min(accuracy.youden, accuracy.smoothed().youden) <= 0:
        return "its sensitivity and specificity are those of chance"
    return accuracy


def find_record(metadata: Metadata) -> dict[str, Any]:
    """What a calibration, else the training, wrote of the model; {} where there is none.

    At the threshold for few positive cells among many, that of COUNTING.
    """
    record, threshold = _record(metadata), counting_threshold(metadata)
    if threshold != metadata.threshold:
        return record
    settings = {"measured_at": settings_of(metadata)["measured_at"], **record}["measured_at"]
    settings = settings if isinstance(settings, dict) else {}
    return record[COUNTING] | {"measured_at": settings | {"threshold": threshold}}


def _record(metadata: Metadata) -> dict[str, Any]:
    details = metadata.details
    record = details.get("calibration", details.get("validation"))
    return record if isinstance(record, dict) else {}


def _effect(is_right: np.ndarray, members: np.ndarray) -> float:
    totals = np.bincount(members)
    found = np.bincount(members, weights=is_right)
    return design_effect(list(zip(found.tolist(), totals.tolist(), strict=True)))


def _parse(record: dict[str, Any], positive: int, count: int) -> Accuracy | None:
    """The Accuracy in a record; None for one that is damaged or has cells of one label only."""
    try:
        counts = np.array(record["confusion"], np.float64)
        effects = record.get("design_effects", {})
        effect, other_effect = (float(effects.get(name, 1)) for name in METRICS)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        return None
    is_sound = counts.shape == (count, count) and ((counts >= 0) & (counts < MOST)).all()
    if not is_sound or not (1 <= effect < MOST and 1 <= other_effect < MOST):
        return None
    found, positives = counts[positive, positive], counts[positive].sum()
    alarms, negatives = counts[:, positive].sum() - found, counts.sum() - positives
    if not positives or not negatives:
        return None
    rates = float(found / positives), float(1 - alarms / negatives)
    return Accuracy(rates[0], float(positives) / effect, rates[1], float(negatives) / other_effect)
