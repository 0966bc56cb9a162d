"""Matching: found boxes and annotated ones, one to one."""

import numpy as np
import pytest

from malaria.annotations.matching import match, overlaps, touches_border
from malaria.pictures.box import Box

ONE = Box(10, 10, 20, 20)


def test_the_overlap_is_the_shared_area_over_that_of_both():
    others = [ONE, Box(20, 10, 20, 20), Box(10, 10, 10, 20), Box(30, 10, 5, 5), Box(0, 0, 100, 100)]
    assert overlaps([ONE], others)[0].tolist() == pytest.approx([1, 200 / 600, 0.5, 0, 0.04])
    assert overlaps([], others).shape == (0, 5)
    assert overlaps([ONE], []).shape == (1, 0)


def test_each_box_is_matched_once_with_the_one_that_it_overlaps_most():
    near, nearer = Box(12, 10, 20, 20), Box(11, 10, 20, 20)
    assert match([near, nearer], [ONE]) == {1: 0}
    assert match([ONE], [near, nearer]) == {0: 1}
    assert match([ONE], [Box(17, 10, 20, 20)]) == {}  # 260 / 540
    assert match([], [ONE]) == match([ONE], []) == {}


def test_as_many_pairs_are_made_as_can_be():
    # The best pair first would leave one cell and one box without another.
    found, known = [Box(0, 0, 20, 20), Box(5, 0, 20, 20)], [Box(3, 0, 20, 20), Box(10, 0, 20, 20)]
    assert overlaps(found, known)[1].tolist() == pytest.approx([18 / 22, 0.6])
    assert match(found, known) == {0: 0, 1: 1}
    random = np.random.default_rng(0)
    some = [Box(*map(int, random.integers(1, 30, 4))) for _ in range(60)]
    pairs = match(some[:30], some[30:], 0.1)
    assert len(set(pairs.values())) == len(pairs) > 5


def test_a_box_within_two_pixels_of_the_border_touches_it():
    size = (100, 60)
    assert not touches_border(Box(3, 3, 94, 54), size)
    for sides in ((2, 20, 9, 9), (20, 2, 9, 9), (20, 20, 78, 9), (20, 20, 9, 38)):
        assert touches_border(Box(*sides), size)
