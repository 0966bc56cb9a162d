"""calibration: fit a model's threshold and temperature to one's own labelled cells."""

from dataclasses import dataclass, replace
from shlex import quote
from typing import Any

import numpy as np

from malaria.base.errors import UserError
from malaria.base.text import align, printable
from malaria.data.splits import Sides, divide_alike
from malaria.evaluation.bootstrap import Estimate, are_known, estimate, group_members
from malaria.evaluation.decisions import HIGHEST, LOWEST, apply_temperature, fit_temperature
from malaria.evaluation.format import texts_of, title_of
from malaria.evaluation.known_accuracy import counting_of, settings_of, to_record
from malaria.evaluation.label_order import clear_order
from malaria.evaluation.metrics import score
from malaria.evaluation.result import Result
from malaria.evaluation.thresholds import choose_threshold
from malaria.saved.metadata import Metadata

# Fewer cells say too little; of each label there have to be some.
LEAST, LEAST_OF_LABEL = 50, 10
PARTS, SEED = 5, 0


@dataclass(frozen=True)
class Calibration:
    """What was fitted to labelled cells, and {metric: Estimate} before and after.

    The latter is cross-fitted: of each cell at a threshold and a temperature that were fitted
    without it, and without any cell of its patient where `by` is "patients". record: of the same
    answers, as known_accuracy.to_record gives it.
    """

    threshold: float
    temperature: float
    images: int
    by: str
    before: dict[str, Estimate]
    after: dict[str, Estimate]
    record: dict[str, Any]

    def update(self, metadata: Metadata) -> Metadata:
        """The metadata of the calibrated model, with these metrics in its details."""
        temperature = metadata.temperature * self.temperature
        metadata = replace(metadata, threshold=self.threshold, temperature=temperature)
        record = {"images": self.images, "cross_fitted_by": self.by}
        record |= self.record | settings_of(metadata)
        for when, estimates in (("before", self.before), ("after", self.after)):
            record[when] = {name: one._asdict() for name, one in estimates.items()}
        return replace(metadata, details=metadata.details | {"calibration": record})


def calibrate(result: Result, rule: float | str, *, unlike: float = 0.0) -> Calibration:
    """Fit to a model's answers; rule: as thresholds.choose_threshold takes it.

    unlike: the share of these cells that the guard marks.

    Raises UserError for too few cells, for too few of a label, and where the answers do not tell
    the labels apart, or in another order.
    """
    labels, probabilities = result.labels, result.probabilities
    _check_count(len(labels), LEAST, "labelled cells")
    for name, count in result.counts.items():
        _check_count(count, LEAST_OF_LABEL, f"cells of {printable(name)}")
    _check_order(result)
    parts, by = _divide(result)
    thresholds, scaled = np.empty(len(labels)), np.empty_like(probabilities)
    for fitted, judged in parts:
        thresholds[judged], temperature = _fit(result.of(fitted), rule)
        scaled[judged] = apply_temperature(probabilities[judged], temperature)
    scored = score(labels, scaled, positive=result.positive, threshold=thresholds)
    members = group_members(result.groups, len(labels))
    known: dict[str, Any] = {"positive": result.positive, "members": members, "unlike": unlike}
    known["sampling"] = result.sampling
    record = to_record(labels, scaled, scored.predicted, **known)
    record |= counting_of(labels, scaled, **known)
    after = estimate(scored, groups=result.groups, weights=result.weights)
    return Calibration(*_fit(result, rule), len(labels), by, result.metrics, after, record)


def _check_count(count: int, least: int, what: str) -> None:
    if count < least:
        raise UserError(
            f"--calibrate: expected at least {least} {what}; received {count}: label more"
        )


def _check_order(result: Result) -> None:
    """Raise UserError for swapped labels, and for answers that say nothing of them."""
    names = [printable(name) for name in result.label_names]
    value, low, high = result.metrics["auc"]
    told = "" if low is None else f"AUC {value:.3f} [{low:.3f}, {high:.3f}]"
    if order := clear_order(result.labels, result.probabilities):
        raise UserError(
            f"--calibrate: the labels look swapped: {told}; either the images lie under the wrong "
            "labels, or the model's outputs have another order: "
            f"--labels={quote(','.join(names[label] for label in order))}"
        )
    if low is None or low <= 0.5:
        raise UserError(
            f"--calibrate: the model does not tell the labels apart: {told}, where 0.5 is chance; "
            "check the labels, and how the model reads images (--channels, --scale)"
        )


def _fit(result: Result, rule: float | str) -> tuple[float, float]:
    """(threshold, temperature); the threshold is of the probabilities at that temperature."""
    labels, probabilities = result.labels, result.probabilities
    temperature = fit_temperature(labels, probabilities, result.weights)
    scaled = apply_temperature(probabilities, temperature)
    if probabilities.shape[1] > 2:
        return 0.5, temperature
    known: dict[str, Any] = {"positive": result.positive, "weights": result.weights}
    return choose_threshold(labels, scaled, rule=rule, **known), temperature


def _divide(result: Result) -> tuple[list[Sides], str]:
    """[(indices to fit on, indices to judge)], and what is never on both sides."""
    known = [group for group in result.groups or () if group is not None]
    by_patient = are_known(result.groups) and len(set(known)) >= PARTS
    parts = divide_alike(result.labels, known if by_patient else None, count=PARTS, seed=SEED)
    return parts, "patients" if by_patient else "images"


def describe_calibration(fitted: Calibration) -> str:
    """A Calibration as text for people."""
    rows = [["metric", "before", "", f"after, by {fitted.by}", ""]]
    for name, one in fitted.before.items():
        rows.append([title_of(name), *texts_of(one), *texts_of(fitted.after[name])])
    at_end = not 1.01 * LOWEST < fitted.temperature < HIGHEST / 1.01
    doubt = ", the last that is tried: no temperature makes these probabilities fit" * at_end
    return (
        f"{fitted.images:,} images: threshold {fitted.threshold:.4g}, temperature "
        f"{fitted.temperature:.4g}{doubt}\n\n{align(rows)}\n\n"
        "after: each image at a threshold and a temperature that were fitted without it, and "
        f"without all other images of its patient where that is known (by {fitted.by})"
    )
