"""Tests of malaria/labelling/random_half.py: which cells measure a model, and as how many."""

from dataclasses import replace

import numpy as np
import pytest

from malaria.labelling.label_table import DOUBT, SKIPPED
from malaria.labelling.random_half import find_random_half

P, U, X = "Parasitized", "Uninfected", "no red cell"


def strata_of(half):
    """[(the places of a stratum, the cells that they stand for together)]."""
    strata, stands_for = half.sampling
    return [
        (half.places[strata == one].tolist(), pytest.approx(stands_for[strata == one].sum()))
        for one in np.unique(strata)
    ]


def test_a_stratum_keeps_the_cells_of_those_that_were_skipped(pair, model):
    pairs = pair(P, [P] * 10) + pair(U, [U] * 10 + [SKIPPED] * 10) + pair(P, [P], why=DOUBT)
    half = find_random_half(pairs, model.metadata.labels)
    assert strata_of(half) == [([*range(10)], 100), ([*range(10, 20)], 1900)]
    assert half.unlike == 0


def test_cells_of_another_draw_are_a_stratum_of_their_own(pair, model):
    pairs = pair(P, [P] * 3) + pair(P, [P] * 7)[3:]
    half = find_random_half(pairs, model.metadata.labels)
    assert strata_of(half) == [([0, 1, 2], 100), ([3, 4, 5, 6], 400 / 7)]


def test_what_this_model_marks_is_in_no_rate_whatever_another_one_called_it(pair, model):
    pairs = [
        (row, replace(cell, label="unlike", unlike="no cell") if place < 5 else cell)
        for place, (row, cell) in enumerate(pair(P, [P] * 20))
    ]
    half = find_random_half(pairs, model.metadata.labels)
    assert strata_of(half) == [([*range(5, 20)], 75)]
    assert half.unlike == pytest.approx(0.25)
