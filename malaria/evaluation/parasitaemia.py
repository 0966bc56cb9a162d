"""parasitaemia: the share of a rare label among cells, with what a model is known to get wrong.

Everywhere: found of total cells are called positive; effect: their design effect, by which the
cells count as fewer. Shares are 0..1, intervals 95 %.
"""

from collections.abc import Sequence
from math import ceil, sqrt
from typing import NamedTuple

from malaria.base.proportions import Z_95, wilson

# White cells per microlitre of blood, where the patient's own number is not known, and the fewest
# to count beside the parasites (WHO).
WHITE_CELLS, FEWEST = 8000, 200


class Accuracy(NamedTuple):
    """What a model is known to get wrong, and on how many cells that was measured.

    positives, negatives: cells with and without the positive label, as many as would tell as much
    if they were independent (number / design effect).
    """

    sensitivity: float
    positives: float
    specificity: float
    negatives: float

    @property
    def youden(self) -> float:
        """Sensitivity + specificity - 1; from 0 down the model tells nothing."""
        return self.sensitivity + self.specificity - 1

    def smoothed(self) -> "Accuracy":
        """The same with one more cell found and one more missed, of either label."""
        positives, negatives = self.positives + 2, self.negatives + 2
        sensitivity = (self.sensitivity * self.positives + 1) / positives
        specificity = (self.specificity * self.negatives + 1) / negatives
        return Accuracy(sensitivity, positives, specificity, negatives)


def corrected_share(found: float, total: float, accuracy: Accuracy) -> float:
    """The true share, of the called one (Rogan and Gladen 1978, Am J Epidemiol 107:71-76).

    (found / total + specificity - 1) / (sensitivity + specificity - 1), within 0..1.
    """
    return _within((found / total + accuracy.specificity - 1) / accuracy.youden)


def predictive_value(share: float, accuracy: Accuracy) -> float:
    """The share of called cells that truly are positive, where `share` > 0 of all cells are.

    The positive predictive value by Bayes' theorem (Altman and Bland 1994, BMJ 309:102). The
    sensitivity is above 0.
    """
    found = accuracy.sensitivity * share
    alarms = (1 - accuracy.specificity) * (1 - share)
    return found / (found + alarms)


def interval(
    found: float, total: float, accuracy: Accuracy | None, effect: float = 1.0
) -> tuple[float, float]:
    """(low, high) of the true share; with no accuracy that of the called one (Wilson 1927).

    Lang and Reiczigel 2014, Prev Vet Med 113:13-22: it holds the uncertainty of sensitivity and
    specificity. Ours is never narrower, and wider where theirs cannot be believed: it holds the
    corrected share; it ends no lower than what as many cells without a find would leave; and where
    fewer are found than false alarms would be, by more than the standard error, the specificity is
    better than it was measured, and it ends where it would without false alarms.
    """
    found, total = found / effect, total / effect
    if accuracy is None:
        return wilson(found, total)
    share, sampling, known = _lang_reiczigel(found, total, accuracy)
    error = sqrt(sampling + known)
    half, point = Z_95 * error, corrected_share(found, total, accuracy)
    least = none_seen(total, accuracy.sensitivity)
    if found and share + error < 0:
        least = _within(wilson(found, total)[1] / accuracy.sensitivity)
    return min(_within(share - half), point), max(_within(share + half), point, least)


def none_seen(total: float, sensitivity: float = 1.0) -> float:
    """The share that `total` cells without a find leave possible: at most so many, with 95 %.

    The exact form of the rule of three, 1 - .05^(1 / total) (Hanley and Lippman-Hand 1983, JAMA
    249:1743-1745), over the sensitivity.
    """
    return min(1.0, (1 - 0.05 ** (1 / total)) / sensitivity) if sensitivity else 1.0


def cells_to_halve(
    found: float, total: float, accuracy: Accuracy | None, effect: float = 1.0
) -> int | None:
    """How many cells more, of as many more fields, would make the interval half as wide.

    None: no number would, for most of its width is the uncertainty of sensitivity and specificity;
    more labelled cells are what helps.
    """
    if accuracy is None:
        return ceil(3 * total)
    _, sampling, known = _lang_reiczigel(found / effect, total / effect, accuracy)
    left = (sampling + known) / 4 - known
    return ceil(total * (sampling / left - 1)) if left > 0 else None


def design_effect(clusters: Sequence[tuple[float, float]]) -> float:
    """How many times larger the variance is than of independent cells, from the spread of clusters.

    clusters: (found, total) of each field or patient. Rao and Scott 1992, Biometrics 48:577-585:
    the variance of a ratio between clusters over that of as many independent cells. Never below 1;
    1 where nothing can be told of it: of one cluster, and where none or all are found.
    """
    clusters = [one for one in clusters if one[1]]
    count, total = len(clusters), sum(one[1] for one in clusters)
    share = sum(one[0] for one in clusters) / total if total else 0.0
    if count < 2 or not 0 < share < 1:
        return 1.0
    squares = sum((found - share * cells) ** 2 for found, cells in clusters)
    return max(1.0, squares * count / (count - 1) / (total * share * (1 - share)))


def by_white_cells(
    parasites: float, white_cells: float, per_microlitre: float = WHITE_CELLS
) -> float:
    """Parasites per microlitre, of those counted beside `white_cells` > 0 white cells.

    parasites x 8000 / white cells (WHO 2016, Malaria parasite counting, MM-SOP-09).
    """
    return parasites * per_microlitre / white_cells


def _lang_reiczigel(found: float, total: float, accuracy: Accuracy) -> tuple[float, float, float]:
    """The middle of their interval, and its variance by the cells and by the known accuracy."""
    sensitivity, positives, specificity, negatives = accuracy = accuracy.smoothed()
    called, cells = (found + Z_95**2 / 2) / (total + Z_95**2), total + Z_95**2
    share = (called + specificity - 1) / accuracy.youden
    of_missed = sensitivity * (1 - sensitivity) / positives
    of_alarms = specificity * (1 - specificity) / negatives
    shift = 2 * Z_95**2 * (share * of_missed - (1 - share) * of_alarms)
    known = share**2 * of_missed + (1 - share) ** 2 * of_alarms
    sampling = called * (1 - called) / cells
    return share + shift, sampling / accuracy.youden**2, known / accuracy.youden**2


def _within(share: float) -> float:
    return min(1.0, max(0.0, share))
