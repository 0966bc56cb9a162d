import numpy as np
import pytest

from malaria.evaluation.parasitaemia import corrected_share, interval
from malaria.evaluation.verified import Stratum, verified_accuracy


def test_strata_count_as_many_cells_as_they_stand_for():
    # Of 100 called parasitized 80 are, by 40 of 50; of 900 others 18 are, by 1 of 50.
    found = verified_accuracy(
        [
            Stratum(100, np.array([[40, 0], [10, 0]])),
            Stratum(900, np.array([[0, 1], [0, 49]])),
        ]
    )
    assert found.sensitivity == pytest.approx(80 / (80 + 18))
    assert found.specificity == pytest.approx(882 / (882 + 20))
    # And the share that is corrected with them is the one that was drawn: 98 of 1,000.
    assert corrected_share(100, 1000, found) == pytest.approx(0.098)


def test_a_simple_sample_is_worth_its_cells():
    found = verified_accuracy([Stratum(1e6, np.array([[90, 10], [20, 180]]))])
    assert (found.sensitivity, found.specificity) == (0.9, 0.9)
    assert found.positives == pytest.approx(100, rel=0.1)
    assert found.negatives == pytest.approx(200, rel=0.1)


def test_no_missed_parasite_among_a_few_cells_is_no_promise_of_none():
    found = verified_accuracy(
        [
            Stratum(100, np.array([[50, 0], [0, 0]])),
            Stratum(9900, np.array([[0, 0], [0, 50]])),
        ]
    )
    assert found.sensitivity == 1
    assert found.positives < 3
    # 3 in 50 of 9,900 could be missed.
    assert interval(100, 10000, found)[1] > 0.03


@pytest.mark.parametrize(("sensitivity", "specificity"), [(0.8, 0.97), (0.95, 0.8), (0.33, 0.9999)])
def test_the_interval_of_the_share_holds_the_truth_nineteen_times_of_twenty(
    sensitivity, specificity
):
    """Also where two of three parasites are missed: among 50 cells called uninfected one may be."""
    random, held = np.random.RandomState(1), 0
    for _ in range(100):
        is_positive = random.random_sample(8000) < 0.03
        chances = np.where(is_positive, sensitivity, 1 - specificity)
        is_called = random.random_sample(8000) < chances
        strata = []
        for called in (True, False):
            drawn = random.permutation(np.flatnonzero(is_called == called))[:50]
            column = [int(is_positive[drawn].sum()), int((~is_positive[drawn]).sum())]
            confusion = np.zeros((2, 2))
            confusion[:, 0 if called else 1] = column
            strata.append(Stratum(int((is_called == called).sum()), confusion))
        accuracy = verified_accuracy(strata)
        if accuracy.youden > 0:  # otherwise no share is told
            low, high = interval(int(is_called.sum()), 8000, accuracy)
            held += low <= is_positive.mean() <= high
    assert held >= 94
