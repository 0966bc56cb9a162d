"""calibration: fit a model's threshold and temperature to one's own labelled cells."""

from dataclasses import dataclass, replace

import numpy as np

from malaria.base.errors import UserError
from malaria.base.text import align, printable
from malaria.data.splits import Sides, divide_alike
from malaria.evaluation.bootstrap import Estimate, are_known, estimate
from malaria.evaluation.decisions import apply_temperature, fit_temperature
from malaria.evaluation.format import texts_of, title_of
from malaria.evaluation.metrics import score
from malaria.evaluation.result import Result
from malaria.evaluation.thresholds import choose_threshold
from malaria.saved.metadata import Metadata

# Fewer cells say too little; of each label there have to be some.
LEAST, LEAST_OF_LABEL = 100, 10
PARTS, SEED = 5, 0


@dataclass(frozen=True)
class Calibration:
    """What was fitted to labelled cells, and the metrics before and after.

    before, after: {name of a metric: Estimate}; the latter cross-fitted: of each cell at a
    threshold and a temperature that were fitted without it, and without any cell of its patient
    where `by` is "patients".
    """

    threshold: float
    temperature: float
    images: int
    by: str
    before: dict[str, Estimate]
    after: dict[str, Estimate]

    def update(self, metadata: Metadata) -> Metadata:
        """The metadata of the calibrated model, with these metrics in its details."""
        record = {
            "images": self.images,
            "cross_fitted_by": self.by,
            "before": {name: one._asdict() for name, one in self.before.items()},
            "after": {name: one._asdict() for name, one in self.after.items()},
        }
        return replace(
            metadata,
            threshold=self.threshold,
            temperature=metadata.temperature * self.temperature,
            details=metadata.details | {"calibration": record},
        )


def calibrate(result: Result, rule: float | str) -> Calibration:
    """Fit to a model's answers as they are.

    rule: for the threshold, as thresholds.choose_threshold takes it. Raises UserError for too few
    cells, and for a label without any.
    """
    labels, probabilities = result.labels, result.probabilities
    _check_counts(result)
    parts, by = _divide(result)
    thresholds, scaled = np.empty(len(labels)), np.empty_like(probabilities)
    for fitted, judged in parts:
        thresholds[judged], temperature = _fit(result.of(fitted), rule)
        scaled[judged] = apply_temperature(probabilities[judged], temperature)
    scored = score(labels, scaled, positive=result.positive, threshold=thresholds)
    after = estimate(scored, groups=result.groups)
    return Calibration(*_fit(result, rule), len(labels), by, before=result.metrics, after=after)


def _check_counts(result: Result) -> None:
    if len(result.labels) < LEAST:
        raise UserError(
            f"--calibrate: expected at least {LEAST} labelled cells; received {len(result.labels)}"
        )
    for name, count in result.counts.items():
        if count < LEAST_OF_LABEL:
            raise UserError(
                f"--calibrate: expected at least {LEAST_OF_LABEL} cells of {printable(name)}; "
                f"received {count}"
            )


def _fit(result: Result, rule: float | str) -> tuple[float, float]:
    """(threshold, temperature); the threshold is of the probabilities at that temperature."""
    labels, probabilities = result.labels, result.probabilities
    temperature = fit_temperature(labels, probabilities)
    scaled = apply_temperature(probabilities, temperature)
    if probabilities.shape[1] > 2:
        return 0.5, temperature
    return choose_threshold(labels, scaled, positive=result.positive, rule=rule), temperature


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
    first = (
        f"{fitted.images:,} images: threshold {fitted.threshold:.4g}, temperature "
        f"{fitted.temperature:.4g}"
    )
    last = (
        f"after: each image at a threshold and a temperature that were fitted without it, and "
        f"without all other images of its patient where that is known (by {fitted.by})"
    )
    return "\n\n".join([first, align(rows), last])
