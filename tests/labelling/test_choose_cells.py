"""Tests of malaria/labelling/choose_cells.py: honest at random, and where the doubt is."""

from collections import Counter

import pytest

from malaria.inference.prediction import CLUMP, UNLIKE, Prediction
from malaria.labelling.choose_cells import choose_cells
from malaria.labelling.label_table import DOUBT, RANDOM

RARE = [0.9] + [0.1] * 49  # 2 % are called parasitized


def of_why(chosen, why):
    return [one.cell for one in chosen if one.why == why]


def test_half_are_random_and_as_many_of_each_call_with_what_each_stands_for(make_cells, model):
    cells = make_cells(fields=40, each=50, positive=RARE)
    chosen = choose_cells(cells, model, count=40)
    assert Counter(one.why for one in chosen) == {RANDOM: 20, DOUBT: 20}
    assert Counter(cell.label for cell in of_why(chosen, RANDOM)) == dict.fromkeys(
        model.metadata.labels, 10
    )
    stands = {one.cell.label: one.stands_for for one in chosen if one.why == RANDOM}
    assert stands == {"Parasitized": 4, "Uninfected": 196}
    assert {one.stands_for for one in chosen if one.why == DOUBT} == {None}


def test_a_stratum_with_few_gives_all_others_give_more_and_what_is_marked_a_tenth(
    make_cells, model
):
    cells = make_cells(fields=2, each=50, positive=RARE, unlike=(3, 4, 5))
    chosen = choose_cells(cells, model, count=40)
    counts = Counter(cell.label for cell in of_why(chosen, RANDOM))
    assert counts == {"Parasitized": 2, UNLIKE: 2, "Uninfected": 16}


def test_the_random_ones_are_spread_evenly_over_fields_and_none_is_left_out(make_cells, model):
    cells = make_cells(fields=20, each=50, positive=[0.1])
    chosen = choose_cells(cells, model, count=120)
    counts = Counter(cell.path for cell in of_why(chosen, RANDOM))
    assert len(counts) == 20
    assert set(counts.values()) <= {2, 3, 4}


def test_each_cell_has_the_same_chance_to_be_drawn(make_cells, model):
    cells = make_cells(fields=3, each=10, positive=[0.1])
    drawn = Counter()
    for seed in range(600):
        drawn.update(map(id, of_why(choose_cells(cells, model, count=12, seed=seed), RANDOM)))
    # 600 draws of 6 in 30: 120 each, with a standard deviation of 10.
    assert all(75 < drawn[id(cell)] < 165 for cell in cells)


def test_the_doubtful_are_what_the_guard_marks_as_positive_and_what_is_near_to_the_threshold(
    make_cells, model
):
    known = [0.99, 0.01, 0.52, 0.02, 0.97]
    cells = make_cells(fields=4, each=25, positive=known, unlike=range(0, 35, 5))
    chosen = choose_cells(cells, model, count=20)
    doubt, random = of_why(chosen, DOUBT), of_why(chosen, RANDOM)
    marked = [cell for cell in cells[0:35:5] if cell not in random]
    assert len(marked) >= 3
    assert all(cell in doubt for cell in marked)
    assert {cell.probabilities[0] for cell in doubt} == {0.99, 0.52}


def test_no_field_takes_all_places_of_the_doubtful(make_cells, model):
    cells = make_cells(fields=1, each=40, positive=[0.5])
    cells += make_cells(fields=5, each=40, positive=[0.4])[40:]
    counts = Counter(cell.path.name for cell in of_why(choose_cells(cells, model, count=60), DOUBT))
    assert counts["field0.png"] == 12  # twice its share of 30 in 5 fields


@pytest.mark.parametrize("count", [1, 7, 40, 1000])
def test_the_same_comes_again_and_a_larger_count_only_adds_to_the_random(make_cells, model, count):
    cells = make_cells()
    chosen = choose_cells(cells, model, count=count)
    assert chosen == choose_cells(cells, model, count=count)
    assert len(chosen) == min(count, len(cells)) == len({id(one.cell) for one in chosen})
    more = choose_cells(cells, model, count=count + 10)
    assert {id(one) for one in of_why(chosen, RANDOM)} <= {id(one) for one in of_why(more, RANDOM)}
    assert count < 40 or choose_cells(cells, model, count=40, seed=1) != chosen


def test_the_order_tells_nothing_and_every_beginning_has_all_strata_alike(make_cells, model):
    cells = make_cells(fields=40, each=50, positive=RARE)
    chosen = choose_cells(cells, model, count=80)
    whys = [one.why for one in chosen]
    assert whys[0::2] not in ([RANDOM] * 40, [DOUBT] * 40)
    counts = Counter(cell.label for cell in of_why(chosen[:24], RANDOM))
    assert counts == dict.fromkeys(model.metadata.labels, 6)


def test_what_has_a_label_comes_first_in_its_half(make_cells, model):
    cells = make_cells()
    labelled = {0: RANDOM, 1: RANDOM, 2: DOUBT}
    chosen = choose_cells(cells, model, count=20, seed=5, labelled=labelled)
    whys = {id(one.cell): one.why for one in chosen}
    assert [whys.get(id(cell)) for cell in cells[:3]] == [RANDOM, RANDOM, DOUBT]


def test_what_the_network_was_not_asked_about_is_not_shown(make_cells, model):
    cells = make_cells(fields=1, each=2)
    more = [Prediction(cells[0].path, CLUMP, 0.9), Prediction(cells[0].path, error="broken")]
    assert len(choose_cells([*more, *cells], model, count=10)) == 2
