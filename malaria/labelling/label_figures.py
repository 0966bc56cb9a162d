"""label_figures: what the labels given so far say of the model, and of the parasitaemia."""

from collections.abc import Iterable, Iterator, Sequence
from math import ceil
from typing import Any

import numpy as np

from malaria.base.proportions import Z_95, wilson
from malaria.base.text import printable
from malaria.evaluation.parasitaemia import Accuracy
from malaria.evaluation.thresholds import COUNTING, YOUDEN, choose_threshold
from malaria.fields.field_counts import FieldCounts, by_group, tally
from malaria.fields.headline import describe_row, percent
from malaria.inference.prediction import UNLIKE, Prediction
from malaria.inference.trained_model import TrainedModel
from malaria.labelling.choose_cells import can_be_labelled
from malaria.labelling.label_table import RANDOM, SKIPPED
from malaria.labelling.random_half import Pair, find_random_half
from malaria.saved.metadata import Metadata

# Fewer random cells say nothing.
LEAST = 20
# Half of the interval that is aimed at.
AIM = 0.03


def describe_labels(
    pairs: Sequence[Pair], cells: Sequence[Prediction], model: TrainedModel
) -> dict[str, Any]:
    """{"lines": texts, "rows": [name, share before, share after]} for people.

    pairs: the labelled cells with the model's answers. cells: all answers, errors too. What is no
    red cell counts as not positive: called positive, it is a false alarm.
    """
    positive = model.metadata.positive_label
    half = find_random_half(pairs, model.metadata.labels)
    random = [pairs[place] for place in half.places]
    is_positive = np.array([row.label == positive for row, _ in random], bool)
    if len(random) < LEAST or len(np.unique(is_positive)) < 2:
        return {"lines": [_describe_lack(is_positive, positive)], "rows": []}
    is_called = np.array([cell.label == positive for _, cell in random])
    accuracy = half.sampling.accuracy(is_positive, is_called)
    labelled = sum(row.label != SKIPPED for row, _ in pairs)
    of_model = model.accuracy()
    is_of_chance = min(accuracy.youden, accuracy.smoothed().youden) <= 0
    weights = half.sampling.weights
    lines = [
        *_describe_accuracy(accuracy, positive),
        _describe_count(accuracy, labelled, len(random), sum(map(can_be_labelled, cells))),
        *_describe_unlike(pairs, positive),
    ]
    if is_of_chance:
        lines.append("these are the figures of chance: no share is corrected by them")
    else:
        lines += _describe_calibration(random, is_positive, weights, model.metadata)
    if isinstance(of_model, str):
        lines.append(f"the shares before are not corrected: {of_model}")
    known = of_model if isinstance(of_model, Accuracy) else None
    rows = list(_shares(cells, model, known, None if is_of_chance else accuracy))
    return {"lines": lines, "rows": rows}


def _describe_lack(is_positive: np.ndarray, positive: str) -> str:
    if len(is_positive) < LEAST:
        return f"figures from {LEAST} cells on that were drawn at random; so far {len(is_positive)}"
    others = "all" if is_positive.all() else "none"
    return f"figures as soon as both kinds are there; so far {others} are {printable(positive)}"


def _describe_accuracy(accuracy: Accuracy, positive: str) -> Iterator[str]:
    rates = {
        f"sensitivity (of {printable(positive)})": (accuracy.sensitivity, accuracy.positives),
        "specificity": (accuracy.specificity, accuracy.negatives),
    }
    for name, (share, count) in rates.items():
        low, high = wilson(share * count, count)
        yield f"{name} {percent(share)} [95 % interval {percent(low)}, {percent(high)}]"


def _describe_count(accuracy: Accuracy, labelled: int, random: int, every: int) -> str:
    """How many are labelled, and how many more would make both intervals +-AIM."""
    smoothed = accuracy.smoothed()
    times = max(
        Z_95**2 * share * (1 - share) / AIM**2 / count
        for share, count in (
            (smoothed.sensitivity, accuracy.positives),
            (smoothed.specificity, accuracy.negatives),
        )
    )
    missing = ceil(max(0.0, times - 1) * labelled / 10) * 10
    told = f"labelled {labelled:,}, of them {random:,} at random; "
    if missing > every - labelled:
        return told + f"+-{AIM:g} would take more cells than these images have"
    return told + (f"about {missing:,} more for +-{AIM:g}" if missing else f"enough for +-{AIM:g}")


def _describe_calibration(
    random: Sequence[Pair], is_positive: np.ndarray, weights: np.ndarray, metadata: Metadata
) -> Iterator[str]:
    """How the probabilities fit, and the threshold that these cells would choose."""
    positive = metadata.positive
    probabilities = np.array([cell.probabilities for _, cell in random])
    said = np.average(probabilities[:, positive], weights=weights)
    share = np.average(is_positive, weights=weights)
    yield (
        f"calibration: {percent(float(said))} by the mean probability, "
        f"{percent(float(share))} by the labels"
    )
    if len(metadata.labels) == 2:
        rule = COUNTING if any(cell.box for _, cell in random) else YOUDEN
        labels = np.where(is_positive, positive, 1 - positive)
        threshold = choose_threshold(
            labels, probabilities, positive=positive, rule=rule, weights=weights
        )
        yield (
            f"threshold {metadata.threshold:.3f}; these cells would choose {threshold:.3f} ({rule})"
        )


def _describe_unlike(pairs: Iterable[Pair], positive: str) -> Iterator[str]:
    """What the labels say of the cells that the guard keeps out of the count."""
    labels = [
        row.label for row, cell in pairs if cell.label == UNLIKE and row.why == RANDOM and row.label
    ]
    if labels:
        yield (
            f"of {len(labels):,} labelled cells that the guard marks as unlike a single cell, "
            f"{labels.count(positive):,} are {printable(positive)}: they are in no share"
        )


def _shares(
    cells: Iterable[Prediction],
    model: TrainedModel,
    before: Accuracy | None,
    accuracy: Accuracy | None,
) -> Iterator[list[str]]:
    """[name, share before, share after] of each patient, each field and all.

    Of images that are one cell each, a patient's are together.
    """
    fields: dict[str, FieldCounts] = {}
    for cell in cells:
        name = str(cell.path) if cell.box or cell.error else (cell.group or "of no patient")
        fields.setdefault(name, FieldCounts()).add(cell, model)
    for name, some in (
        ("all", list(fields.values())),
        *((f"patient {name}", some) for name, some in by_group(fields)),
        *((name, [one]) for name, one in fields.items() if one.error or len(fields) > 1),
    ):
        row = tally(some, model.metadata, accuracy=before)
        # The model is no longer one that was measured elsewhere.
        after = tally(some, model.metadata, accuracy=accuracy) | {"warning": None}
        yield [printable(name), describe_row(row), describe_row(after) if accuracy else "-"]
