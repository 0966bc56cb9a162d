"""verified: sensitivity and specificity of cells labelled at random by what they are called.

Where few cells are parasitized, labelling at random finds hardly one. So as many are drawn of those
called parasitized as of the others, and each stratum counts as many cells as it stands for (Begg
and Greenes 1983, Biometrics 39:207-215).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from malaria.evaluation.parasitaemia import Accuracy

# Of each true and called label in a stratum, before a cell is seen (Perks 1947): a missed
# parasite that nobody saw among fifty cells may still be there.
PRIOR = 0.25
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

    positives and negatives are the sizes of a simple sample with the variance that a Dirichlet
    posterior has. The cells of one field count as independent. Raises ValueError without strata.
    """
    cells = np.array([one.cells for one in strata], np.float64)
    counts = np.stack([np.asarray(one.confusion, np.float64) for one in strata])
    random = np.random.RandomState(SEED)
    drawn = [random.dirichlet(one.ravel() + PRIOR, DRAWS) for one in counts]
    worth = _rates(np.stack(drawn, axis=1).reshape(DRAWS, -1, 2, 2), cells)
    seen = counts + PRIOR * (counts.sum(axis=(1, 2), keepdims=True) == 0)
    estimates = _rates((seen / seen.sum(axis=(1, 2), keepdims=True))[None], cells)[0]
    means, variances = worth.mean(axis=0), worth.var(axis=0)
    sizes = np.maximum(means * (1 - means) / np.maximum(variances, 1e-12) - 1, 1e-3)
    rates = np.where(np.isnan(estimates), means, estimates)
    return Accuracy(float(rates[0]), float(sizes[0]), float(rates[1]), float(sizes[1]))


def _rates(shares: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """(n, 2), sensitivity and specificity, of the shares (n, strata, 2, 2) in each stratum.

    NaN where no cell has the label.
    """
    every = np.einsum("nsij,s->nij", shares, cells)
    with np.errstate(invalid="ignore"):
        right: np.ndarray = every[:, [0, 1], [0, 1]] / every.sum(axis=2)
    return right
