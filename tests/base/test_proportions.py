"""Tests of malaria/base/proportions.py."""

import pytest
from scipy.stats import binomtest

from malaria.base.proportions import wilson


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (29, 29, 0.8830, 1.0),
    ],
)
def test_the_interval_is_the_published_one(count, total, low, high):
    assert wilson(count, total) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("count", "total"), [(1, 2), (3, 10), (499, 1000), (13779, 27558)])
def test_scipy_says_the_same(count, total):
    expected = binomtest(count, total).proportion_ci(method="wilson")
    assert wilson(count, total) == pytest.approx((expected.low, expected.high), abs=1e-7)


@pytest.mark.parametrize("total", [1, 7, 10**9])
def test_none_and_all_end_exactly_at_zero_and_one(total):
    (none, most), (least, every) = wilson(0, total), wilson(total, total)
    assert (none, every) == wilson(0, 0) == (0.0, 1.0)
    assert 0 < most < 1
    assert 0 < least < 1
