"""verified: sensitivity and specificity of cells labelled at random by what they are called.

Where few cells are parasitized, labelling at random finds hardly one. So as many are drawn of those
called parasitized as of the others, and each stratum counts as many cells as it stands for (Begg
and Greenes 1983, Biometrics 39:207-215).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from malaria.evaluation.parasitaemia import Accuracy

# Of each true label among cells of a stratum that are called alike, before one is seen (Jeffreys
# 1946): a missed parasite that nobody saw among fifty cells may still be there.
PRIOR = 0.5
DRAWS, SEED = 2000, 0


class Stratum(NamedTuple):
    """Cells that were called alike, of which some, drawn at random, were labelled.

    cells: how many there are. confusion: (2, 2), counts of the labelled ones: row = true, column =
    called label, the positive one first.
    """

    cells: float
    confusion: np.ndarray


class Sampling(NamedTuple):
    """How n labelled cells were drawn.

    strata: (n,), integers, alike of cells that were called alike when they were drawn. stands_for:
    (n,), of how many cells each is one: the size of its stratum / the number drawn of it.
    """

    strata: np.ndarray
    stands_for: np.ndarray

    def of(self, cells: np.ndarray) -> "Sampling":
        """The same of some of the cells, by their indices."""
        return Sampling(self.strata[cells], self.stands_for[cells])

    @property
    def weights(self) -> np.ndarray:
        """(n,), on average 1."""
        weights: np.ndarray = self.stands_for / self.stands_for.mean()
        return weights

    def accuracy(self, is_positive: np.ndarray, is_called: np.ndarray) -> Accuracy:
        """verified_accuracy of these cells: which are positive, and which are called so, (n,)."""
        places = np.stack([~is_positive, ~is_called]).astype(int)
        strata = []
        for stratum in np.unique(self.strata):
            inside = self.strata == stratum
            confusion = np.zeros((2, 2))
            np.add.at(confusion, tuple(places[:, inside]), 1)
            strata.append(Stratum(float(self.stands_for[inside].sum()), confusion))
        return verified_accuracy(strata)


def verified_accuracy(strata: Sequence[Stratum]) -> Accuracy:
    """What the labelled cells tell of all: the estimate, and how many cells it is worth.

    The estimate is that of the cells, weighted; positives and negatives are of the posterior, see
    `_size`. The cells of one field count as independent. Raises ValueError without strata.
    """
    cells = np.array([one.cells for one in strata], np.float64)
    counts = np.stack([np.asarray(one.confusion, np.float64) for one in strata])
    # Nothing is called otherwise in a stratum where nothing was; of one without labels all may be.
    is_empty = counts.sum(axis=(1, 2), keepdims=True) == 0
    prior = PRIOR * ((counts.sum(axis=1, keepdims=True) > 0) | is_empty)
    random = np.random.RandomState(SEED)
    drawn = _rates(_shares(random.gamma(counts + prior, size=(DRAWS, *counts.shape))), cells)
    means = drawn.mean(axis=0)
    seen = _rates(_shares((counts + prior * is_empty)[None]), cells)[0]
    rates = np.where(np.isnan(seen), means, seen)
    sizes = [float(_size(*known)) for known in zip(rates, means, drawn.var(axis=0), strict=True)]
    return Accuracy(float(rates[0]), sizes[0], float(rates[1]), sizes[1])


def _size(rate: float, mean: float, variance: float) -> float:
    """How many cells of a simple sample tell as much as a posterior of this mean and variance.

    At most so many that Accuracy.smoothed, one cell more found and one more missed, comes down to
    the mean: where none is missed among a few cells, many may be among all that they stand for.
    """
    size = mean * (1 - mean) / max(variance, 1e-12) - 1
    return max(1e-3, min(size, (2 * mean - 1) / (rate - mean)) if rate > mean else size)


def _shares(counts: np.ndarray) -> np.ndarray:
    """(n, strata, 2, 2), of each stratum together 1; of gamma numbers a draw of Dirichlet's."""
    shares: np.ndarray = counts / counts.sum(axis=(2, 3), keepdims=True)
    return shares


def _rates(shares: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """(n, 2), sensitivity and specificity, of the shares (n, strata, 2, 2) in each stratum.

    NaN where no cell has the label.
    """
    every = np.einsum("nsij,s->nij", shares, cells)
    with np.errstate(invalid="ignore"):
        right: np.ndarray = every[:, [0, 1], [0, 1]] / every.sum(axis=2)
    return right
