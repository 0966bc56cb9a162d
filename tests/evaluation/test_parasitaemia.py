"""Tests of malaria/evaluation/parasitaemia.py: known values, and what simulated slides show."""

import numpy as np
import pytest

from malaria.base.proportions import wilson
from malaria.evaluation.parasitaemia import (
    Accuracy,
    by_white_cells,
    cells_to_halve,
    corrected_share,
    design_effect,
    interval,
    none_seen,
    predictive_value,
)

KNOWN = Accuracy(0.93, 300, 0.985, 1500)


def test_the_share_is_corrected_as_rogan_and_gladen_do_and_stays_a_share():
    # 82 patients of the NLM set, thinned to 2.6 %: 6.0 % are called.
    known = Accuracy(0.958, 1000, 0.964, 1000)
    assert corrected_share(60, 1000, known) == pytest.approx((0.06 + 0.964 - 1) / 0.922)
    assert corrected_share(0, 1000, known) == 0
    assert corrected_share(999, 1000, known) == 1


def test_the_interval_is_that_of_lang_and_reiczigel():
    # By their formula, computed apart, step by step: 27 of 650, .5 of 100, .995 of 200.
    low, high = interval(27, 650, Accuracy(0.5, 100, 0.995, 200))
    assert (low, high) == pytest.approx((0.027460, 0.114583), abs=1e-6)


@pytest.mark.parametrize("prevalence", [0, 0.002, 0.03])
@pytest.mark.parametrize("cells", [1000, 100_000])
def test_of_95_intervals_in_100_some_90_hold_the_truth(prevalence, cells):
    random, held = np.random.default_rng(1), 0
    called = prevalence * 0.93 + (1 - prevalence) * 0.015
    for _ in range(300):
        rates = random.binomial(300, 0.93) / 300, random.binomial(1500, 0.985) / 1500
        known = Accuracy(rates[0], 300, rates[1], 1500)
        low, high = interval(random.binomial(cells, called), cells, known)
        held += low <= prevalence <= high
    assert 0.9 <= held / 300 <= 0.995


def test_100_000_cells_without_a_parasite_are_told_to_have_perhaps_none():
    found = np.random.default_rng(2).binomial(100_000, 0.015)
    low, high = interval(found, 100_000, KNOWN)
    assert low == 0
    assert high < 0.01
    # Taken as known, the same accuracy may well exclude the truth.
    assert interval(1600, 100_000, Accuracy(0.93, 1e9, 0.985, 1e9))[0] > 0


def test_cells_that_are_alike_widen_the_interval_until_it_holds_the_truth():
    random, held, narrow = np.random.default_rng(3), 0, 0
    for _ in range(300):
        shares = random.beta(0.5, 0.5 / 0.03 - 0.5, size=40)
        found = random.binomial(200, shares * 0.93 + (1 - shares) * 0.015)
        total, effect = found.sum(), design_effect([(one, 200) for one in found])
        low, high = interval(total, 8000, KNOWN, effect)
        held += low <= 0.03 <= high
        low, high = interval(total, 8000, KNOWN)
        narrow += low <= 0.03 <= high
    assert held / 300 >= 0.9 > narrow / 300


def test_the_design_effect_is_the_spread_between_fields_over_that_of_chance():
    # Of 2 x 100 cells a tenth: squares 10^2 + 10^2, times 2, over 200 x .1 x .9.
    assert design_effect([(20, 100), (0, 100)]) == pytest.approx(400 / 18)
    assert design_effect([(10, 100), (10, 100)]) == 1
    for unknown in ([], [(3, 50)], [(3, 50), (0, 0)], [(0, 9), (0, 9)], [(9, 9), (9, 9)]):
        assert design_effect(unknown) == 1


def test_without_an_accuracy_the_interval_is_wilsons_of_as_many_cells_as_count():
    assert interval(8, 100, None) == wilson(8, 100)
    assert interval(8, 100, None, 4.0) == wilson(2, 25)


def test_none_seen_leaves_about_three_in_as_many_cells():
    assert none_seen(1000) == pytest.approx(0.002991, abs=1e-6)
    assert (1 - none_seen(1000)) ** 1000 == pytest.approx(0.05)
    assert none_seen(1000, 0.5) == pytest.approx(2 * none_seen(1000))
    assert none_seen(1, 0.5) == none_seen(10, 0) == 1


def test_fewer_finds_than_false_alarms_leave_what_none_would():
    # By specificity alone it would be [0, 0], which no thousand cells can show.
    assert interval(0, 1000, Accuracy(0.9, 400, 0.95, 1e6)) == (0, none_seen(1000, 0.9))


def test_far_fewer_finds_than_false_alarms_are_no_proof_of_few_parasites():
    # A slide of 1.5 %: 123 of 2,495 are called where 165 false alarms were to be expected.
    known = Accuracy(0.97, 528, 0.934, 1500)
    assert interval(123, 2495, known) == (0, wilson(123, 2495)[1] / 0.97)
    # As many as expected, or hardly fewer, are what a slide without parasites shows.
    for found in (165, 155):
        assert interval(found, 2495, known)[1] < 0.02


def test_the_corrected_share_lies_in_its_interval_whatever_the_record():
    random = np.random.default_rng(5)
    for _ in range(500):
        known = Accuracy(*random.uniform([0.5, 1, 0.5, 1], [1, 30, 1, 3000]))
        total = int(10 ** random.uniform(0, 4))
        found, effect = random.integers(total + 1), random.choice([1, 5])
        low, high = interval(found, total, known, effect)
        assert 0 <= low <= corrected_share(found, total, known) <= high <= 1


def test_as_many_cells_more_halve_the_interval():
    known = Accuracy(0.93, 1e6, 0.985, 1e6)
    more = cells_to_halve(300, 5000, known)
    before, after = (
        interval(300, 5000, known),
        interval(300 * (1 + more / 5000), 5000 + more, known),
    )
    assert after[1] - after[0] == pytest.approx((before[1] - before[0]) / 2, rel=0.01)
    assert cells_to_halve(30, 500, None) == 1500
    # Alike by four, as many again are needed of as many cells as count.
    assert cells_to_halve(300, 5000, known, 4.0) < 3.2 * 5000


def test_where_the_accuracy_is_what_is_uncertain_no_number_of_cells_is_told():
    assert cells_to_halve(1500, 100_000, KNOWN) is None


def test_parasites_are_counted_against_white_cells():
    assert by_white_cells(50, 200) == 2000
    assert by_white_cells(50, 200, 6000) == 1500


def test_of_three_called_two_are_false_where_one_in_a_hundred_is_positive():
    known = Accuracy(1.0, 100, 0.98, 200)
    assert predictive_value(0.01, known) == pytest.approx(0.01 / (0.01 + 0.02 * 0.99))
    assert predictive_value(0.5, known._replace(sensitivity=0.9)) == pytest.approx(0.45 / 0.46)
    assert predictive_value(0.2, known._replace(specificity=1.0)) == 1
