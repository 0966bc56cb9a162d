"""Tests of malaria/networks/cost.py."""

import pytest

from malaria.base.errors import UserError
from malaria.networks.backend import keras
from malaria.networks.cost import MAX_MULTIPLICATIONS, check_cost, cost_of

layers = keras.layers
BODY = [layers.Conv2D(4, 3, use_bias=False), layers.MaxPooling2D(2)]
# A convolution of 8 x 8 x 3 to 6 x 6 x 4, then windows of 2 x 2.
MULTIPLICATIONS = 36 * 4 * 27 + 36 * 4 + 9 * 4 * 4


def test_every_weight_counts_at_every_place_and_every_pixel_of_a_window():
    model = keras.Sequential([keras.Input((8, 8, 3)), *BODY])
    assert cost_of(model) == (36 * 4 + 9 * 4, MULTIPLICATIONS)


def test_a_network_within_another_counts_as_what_it_holds():
    inner = keras.Sequential([keras.Input((8, 8, 3)), *BODY])
    outer = keras.Sequential([keras.Input((8, 8, 3)), inner, layers.Flatten()])
    assert cost_of(outer) == (36 * 4 + 9 * 4 + 36, MULTIPLICATIONS + 36)


@pytest.mark.parametrize(
    ("cost", "unit"),
    [((2**28 + 1, 0), "bytes"), ((0, MAX_MULTIPLICATIONS + 1), "multiplications")],
)
def test_more_than_a_network_for_cells_needs_is_refused(cost, unit):
    with pytest.raises(UserError, match=f"{unit} allowed for one image; use one that"):
        check_cost(*cost)
