"""label_figures: what the labels given so far say of the model, and of the parasitaemia."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from math import ceil
from typing import Any

import numpy as np

from malaria.base.proportions import Z_95, wilson
from malaria.base.text import printable
from malaria.evaluation.known_accuracy import known_accuracy
from malaria.evaluation.parasitaemia import Accuracy
from malaria.evaluation.thresholds import COUNTING, YOUDEN, choose_threshold
from malaria.evaluation.verified import Stratum, verified_accuracy
from malaria.fields.field_counts import FieldCounts, by_group, tally
from malaria.fields.headline import describe_row, percent
from malaria.inference.prediction import UNLIKE, Prediction
from malaria.inference.trained_model import TrainedModel
from malaria.labelling.label_table import RANDOM, SKIPPED, LabelRow

# Fewer random cells say nothing.
LEAST = 20
# Half of the interval that is aimed at.
AIM = 0.03

Pair = tuple[LabelRow, Prediction]


def describe_labels(
    pairs: Sequence[Pair], cells: Iterable[Prediction], model: TrainedModel
) -> dict[str, Any]:
    """{"lines": texts, "rows": [name, share before, share after]} for people.

    pairs: the labelled cells with the model's answers. cells: all answers, errors too.
    """
    decided = [pair for pair in pairs if pair[0].why == RANDOM and is_decided(pair[1], model)]
    random = [pair for pair in decided if pair[0].label != SKIPPED]
    positive = model.metadata.positive_label
    found = sum(row.label == positive for row, _ in random)
    if len(random) < LEAST or found in (0, len(random)):
        return {"lines": [_describe_lack(len(random), found, positive)], "rows": []}
    accuracy = verified_accuracy(list(strata_of(decided, model)))
    labelled = sum(row.label != SKIPPED for row, _ in pairs)
    of_model = known_accuracy(model.metadata)
    lines = [
        *_describe_accuracy(accuracy, positive, labelled, len(random)),
        *_describe_calibration(decided, model),
        *_describe_unlike(pairs, positive),
    ]
    is_of_chance = min(accuracy.youden, accuracy.smoothed().youden) <= 0
    if is_of_chance:
        lines.append("these are the figures of chance: no share is corrected by them")
    if isinstance(of_model, str):
        lines.append(f"the shares before are not corrected: {of_model}")
    known = of_model if isinstance(of_model, Accuracy) else None
    rows = list(_shares(cells, model, known, None if is_of_chance else accuracy))
    return {"lines": lines, "rows": rows}


def is_decided(cell: Prediction, model: TrainedModel) -> bool:
    """True for a cell that counts as a red cell in the parasitaemia."""
    return cell.label in model.metadata.labels


def strata_of(pairs: Iterable[Pair], model: TrainedModel) -> Iterator[Stratum]:
    """The strata in which random cells were drawn, each with what is labelled of it.

    What is no red cell counts as not positive: called positive, it is a false alarm.
    """
    positive = model.metadata.positive_label
    for labelled, cells in _drawn(pairs):
        confusion = np.zeros((2, 2), np.int64)
        for row, cell in labelled:
            confusion[int(row.label != positive), int(cell.label != positive)] += 1
        yield Stratum(cells, confusion)


def _drawn(pairs: Iterable[Pair]) -> Iterator[tuple[list[Pair], float]]:
    """(the labelled cells, how many there are of them all) of each stratum."""
    strata: dict[tuple[str, float | None], list[Pair]] = defaultdict(list)
    for row, cell in pairs:
        # Of those drawn at other times others are left: a stratum of their own.
        strata[row.called, row.stands_for].append((row, cell))
    for members in strata.values():
        if labelled := [pair for pair in members if pair[0].label != SKIPPED]:
            yield labelled, sum(row.stands_for or 0 for row, _ in members)


def _describe_lack(random: int, found: int, positive: str) -> str:
    if random < LEAST:
        return f"figures from {LEAST} cells on that were drawn at random; so far {random}"
    others = "none" if found == 0 else "all"
    return f"figures as soon as both kinds are there; so far {others} are {printable(positive)}"


def _describe_accuracy(
    accuracy: Accuracy, positive: str, labelled: int, random: int
) -> Iterator[str]:
    rates = {
        f"sensitivity (of {printable(positive)})": (accuracy.sensitivity, accuracy.positives),
        "specificity": (accuracy.specificity, accuracy.negatives),
    }
    for name, (share, count) in rates.items():
        low, high = wilson(share * count, count)
        yield f"{name} {percent(share)} [95 % interval {percent(low)}, {percent(high)}]"
    smoothed = accuracy.smoothed()
    more = max(
        Z_95**2 * share * (1 - share) / AIM**2 / count
        for share, count in (
            (smoothed.sensitivity, accuracy.positives),
            (smoothed.specificity, accuracy.negatives),
        )
    )
    missing = ceil(max(0.0, more - 1) * labelled / 10) * 10
    yield f"labelled {labelled:,}, of them {random:,} at random; " + (
        f"about {missing:,} more for +-{AIM:g}" if missing else f"enough for +-{AIM:g}"
    )


def _describe_calibration(pairs: Sequence[Pair], model: TrainedModel) -> Iterator[str]:
    """How the probabilities fit, and the threshold that these cells would choose."""
    metadata, rows, weights = model.metadata, list[Pair](), list[float]()
    for labelled, cells in _drawn(pairs):
        rows += labelled
        weights += [cells / len(labelled)] * len(labelled)
    probabilities = np.array([cell.probabilities for _, cell in rows])
    is_positive = np.array([row.label == metadata.positive_label for row, _ in rows])
    said = np.average(probabilities[:, metadata.positive], weights=weights)
    share = np.average(is_positive, weights=weights)
    yield (
        f"calibration: {percent(float(said))} by the mean probability, "
        f"{percent(float(share))} by the labels"
    )
    if probabilities.shape[1] == 2:
        rule = COUNTING if any(cell.box for _, cell in rows) else YOUDEN
        labels = np.where(is_positive, metadata.positive, 1 - metadata.positive)
        threshold = choose_threshold(
            *(labels, probabilities),
            positive=metadata.positive,
            rule=rule,
            # Together as many as were labelled.
            weights=np.array(weights) * len(rows) / sum(weights),
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
