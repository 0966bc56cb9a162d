"""Bland and Altman's comparison of two ways to measure one share."""

import pytest

from malaria.evaluation.bland_altman import Pair, compare


def test_the_bias_and_its_limits_are_those_of_the_differences():
    told = compare([Pair(0.10, 0.08), Pair(0.05, 0.05), Pair(0.02, 0.06)])
    # Differences .02, 0, -.04: mean -.02 / 3, deviation .030551.
    assert told["bias"] == pytest.approx(-0.02 / 3)
    assert told["low"] == pytest.approx(-0.02 / 3 - 1.959964 * 0.0305505, abs=1e-7)
    assert told["high"] == pytest.approx(-0.02 / 3 + 1.959964 * 0.0305505, abs=1e-7)
    assert told["mean_error"] == pytest.approx(0.02)
    assert (told["count"], told["told"]) == (3, pytest.approx(0.17 / 3))
    assert told["correlation"] == pytest.approx(0.755929, abs=1e-6)


def test_what_a_few_pairs_do_not_tell_is_none():
    assert set(compare([]).values()) == {0, None}
    one = compare([Pair(0.1, 0.2)])
    assert (one["bias"], one["low"], one["correlation"]) == (pytest.approx(-0.1), None, None)
    assert compare([Pair(0.1, 0), Pair(0.2, 0)])["correlation"] is None
