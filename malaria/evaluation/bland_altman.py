"""bland_altman: how well two ways to measure one share agree."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from malaria.base.proportions import Z_95


class Pair(NamedTuple):
    """One share, 0..1, as told by a program and as it truly is."""

    told: float
    true: float


def compare(pairs: Sequence[Pair]) -> dict[str, Any]:
    """Told against true: means, mean error, and bias with its limits (Bland and Altman 1986).

    low, high: 95 % of the differences, told minus true, are expected between them. correlation:
    Pearson's. None where there are too few pairs.
    """
    told, true = np.array(pairs).reshape(-1, 2).T
    known: dict[str, Any] = dict.fromkeys(
        ("told", "true", "mean_error", "bias", "low", "high", "correlation")
    )
    known = {"count": len(pairs), **known}
    if pairs:
        differences = told - true
        known |= {"told": told.mean(), "true": true.mean(), "bias": differences.mean()}
        known["mean_error"] = np.abs(differences).mean()
    if len(pairs) > 1:
        reach = Z_95 * differences.std(ddof=1)
        known |= {"low": known["bias"] - reach, "high": known["bias"] + reach}
        if told.std() > 0 and true.std() > 0:
            known["correlation"] = np.corrcoef(told, true)[0, 1]
    return {key: float(one) if isinstance(one, np.floating) else one for key, one in known.items()}
