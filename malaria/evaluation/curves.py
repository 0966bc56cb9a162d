"""curves: ROC and reliability as short lists of points, for a page and for plots."""

from typing import Any

import numpy as np

from malaria.evaluation.metrics import BINS, bin_of, roc_curve
from malaria.evaluation.result import Result


def reliability(result: Result, bins: int = BINS) -> list[dict[str, Any]]:
    """[{"predicted", "observed", "count"}] of each bin of P(positive) with images, rising.

    predicted: the mean probability; observed: the share whose true label is the positive one.
    """
    predicted = result.probabilities[:, result.positive].astype(np.float64)
    observed = result.labels == result.positive
    places = bin_of(predicted, bins)
    return [
        {
            "predicted": float(predicted[places == place].mean()),
            "observed": float(observed[places == place].mean()),
            "count": int(np.sum(places == place)),
        }
        for place in np.unique(places)
    ]


def roc_points(result: Result, most: int = 200) -> dict[str, list[float]]:
    """{"false": [...], "true": [...]}: the ROC curve of the positive label against the rest.

    false: false positive rates; both rise from 0 to 1, or are empty if a label is absent. Of more
    than `most` points those are left out that are within 2 / (most - 1) of one that stays.
    """
    if len(np.unique(result.labels == result.positive)) < 2:
        return {"false": [], "true": []}
    false, true = roc_curve(result.labels, result.probabilities, result.positive)
    if len(false) > most:
        # Both rates only rise, so their sum is a distance along the curve.
        kept = np.unique(np.searchsorted(false + true, np.linspace(0, 2, most)))
        false, true = false[kept], true[kept]
    return {"false": false.tolist(), "true": true.tolist()}
