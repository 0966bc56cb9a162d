"""The guard: what is no single cell is told, with a reason, and travels with the model."""

import json

import numpy as np
import pytest

from malaria.base.errors import UserError
from malaria.inference.guard import CELL, Guard, is_of_earlier_version

FEATURES = np.random.default_rng(1).normal(size=(60, 20)).astype(np.float32)


def guard_of(threshold=0.5, seed=0, kinds=(CELL, "several", "none")):
    weights = np.random.default_rng(seed).normal(size=(21, len(kinds)))
    return Guard(kinds, weights.astype(np.float32), threshold)


def test_what_is_likelier_a_cell_than_the_threshold_is_one():
    sure = guard_of().probabilities(FEATURES)
    np.testing.assert_allclose(sure.sum(axis=1), 1, rtol=1e-5)
    threshold = float(np.median(sure[:, 0]))
    reasons = guard_of(threshold).reasons(FEATURES)
    assert [reason is None for reason in reasons] == (sure[:, 0] >= threshold).tolist()
    assert set(reasons) == {None, "several cells or a whole field", "no cell"}


def test_a_guard_is_the_same_after_it_was_saved():
    guard = guard_of(0.3)
    again = Guard.from_entries(json.loads(json.dumps(guard.to_entries())), "a.json")
    assert (again.threshold, again.kinds, again.feature_count) == (0.3, guard.kinds, 20)
    assert (again.probabilities(FEATURES) == guard.probabilities(FEATURES)).all()


def test_a_guard_that_looked_at_images_itself_is_of_an_earlier_version():
    assert is_of_earlier_version({"format": 1, "units": 96})
    assert not any(map(is_of_earlier_version, (guard_of().to_entries(), {}, [], None)))


CHANGES = [
    *({"format": 3}, {"threshold": 2}, {"threshold": None}, {"kinds": ["several", "none"]}),
    *(
        {"kinds": [CELL, "<script>"]},
        {"kinds": 5},
        {"features": 9},
        {"features": 10**9},
        {"features": True},
    ),
    *({"weights": "abc"}, {"weights": "////" * 84}, {"weights": None}, {"weights": ""}),
]


@pytest.mark.parametrize(
    "entries", [*(guard_of().to_entries() | change for change in CHANGES), {}, [], "x", None]
)
def test_a_strangers_guard_that_cannot_be_is_refused_in_one_line(entries):
    with pytest.raises(UserError, match=r"^a.json: its guard is damaged: [^\n]+$"):
        Guard.from_entries(entries, "a.json")
