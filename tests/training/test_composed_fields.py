"""Composed fields: cells lie where their boxes say and weaken light together; a seed is a seed."""

import numpy as np
import pytest

from malaria.fields.detect import PLATELET, RED, WHITE
from malaria.training.annotated_fields import AnnotatedField
from malaria.training.composed_fields import (
    SIDE,
    Bank,
    bank_of,
    compose,
    densities_of,
    look,
)
from malaria.training.detection_targets import targets_of

DISC = np.hypot(*(np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j])) < 0.95


def flat(density, count=1):
    """Optical densities of discs."""
    return np.repeat((density * DISC[..., None] * np.ones(3))[None], count, 0).astype(np.float32)


BANK = Bank(flat(0.3), flat(0.4), flat(1.5), flat(1.0))


def cells_on(surround, colour=(180, 110, 120)):
    return np.where(DISC[..., None], colour, surround).astype(np.uint8)[None]


@pytest.mark.parametrize("surround", [0, (230, 225, 228)])
def test_a_cut_cell_keeps_its_densities_and_its_surround_has_none(surround):
    [density] = densities_of(cells_on(surround))
    middle = density[SIDE // 2, SIDE // 2]
    assert (middle > 0.1).all()
    # Green is what a red cell absorbs most.
    assert middle[1] > middle[0] or surround == 0
    assert not density[:3, :3].any()


def test_the_same_seed_composes_the_same_field_and_another_one_another():
    one, same, other = (compose(BANK, np.random.default_rng(n), 160, 24) for n in (1, 1, 2))
    np.testing.assert_array_equal(one.image, same.image)
    np.testing.assert_array_equal(one.boxes, same.boxes)
    assert one.image.shape == (160, 160, 3)
    assert one.image.dtype == np.uint8
    assert (one.image != other.image).any()


def test_every_object_is_darker_than_the_slide_at_its_middle_and_of_the_size_of_its_kind():
    sizes = {RED: [], WHITE: [], PLATELET: []}
    for seed in range(30):
        view = compose(BANK, np.random.default_rng(seed), 160, 24)
        slide = np.percentile(view.image, 95)
        for (left, top, width, height), kind in zip(view.boxes, view.kinds, strict=True):
            sizes[kind].append(np.sqrt(width * height))
            x, y = int(left + width / 2), int(top + height / 2)
            if 0 <= x < 160 and 0 <= y < 160 and kind == WHITE:
                assert view.image[y, x].min() < 0.8 * slide
    medians = {kind: np.median(of_kind) for kind, of_kind in sizes.items()}
    assert 22 < medians[RED] < 27
    assert 1.2 * 24 < medians[WHITE] < 2.6 * 24
    assert medians[PLATELET] < 0.5 * 24


FIELD = AnnotatedField(
    *("a.png", np.full((200, 300, 3), 230, np.uint8)),
    boxes=np.array([[100, 50, 40, 40], [260, 150, 40, 40], [20, 20, 60, 60]], np.float32),
    kinds=np.array([RED, RED, WHITE]),
    is_sure=np.array([True, False, True]),
    diameter=40,
    source="a",
    group="a",
)
FIELD.image[50:90, 100:140] = (180, 110, 120)
FIELD.image[20:80, 20:80] = (90, 60, 150)


@pytest.mark.parametrize("seed", range(8))
def test_a_view_of_a_real_field_shows_its_cells_where_the_boxes_say(seed):
    view = look(FIELD, np.random.default_rng(seed), 160, 24, is_changed=seed > 3)
    assert view.image.shape == (160, 160, 3)
    np.testing.assert_allclose(view.boxes[0, 2:], 24, rtol=1e-5)
    seen = 0
    for (left, top, width, height), kind in zip(view.boxes, view.kinds, strict=True):
        x, y = int(left + width / 2), int(top + height / 2)
        if kind == WHITE and 0 <= x < 160 and 0 <= y < 160:
            seen += 1
            assert view.image[y, x].sum() < view.image.reshape(-1, 3).sum(axis=1).max() - 100
    assert seen == 1


def test_what_is_no_red_cell_in_the_fields_is_laid_into_composed_ones():
    cells = {"uninfected": cells_on(0), "parasitized": cells_on(0)}
    bank = bank_of(cells, [FIELD])
    assert [len(one) for one in bank] == [1, 1, 1, 0]
    view = compose(bank, np.random.default_rng(1), 160, 24)
    assert PLATELET not in view.kinds


def test_targets_are_highest_at_the_middles_tell_sizes_there_and_pass_over_what_is_unsure():
    view = look(FIELD, np.random.default_rng(0), 160, 24, is_changed=False)
    maps = targets_of(view, 3)
    assert maps.shape == (80, 80, 7)
    for (left, top, width, height), kind, sure in zip(*view[1:], strict=True):
        x, y = int((left + width / 2) / 2), int((top + height / 2) / 2)
        if sure and 0 <= x < 80 and 0 <= y < 80:
            assert maps[y, x, kind] == 1
            np.testing.assert_allclose(maps[y, x, 3:], [*np.log([width / 24, height / 24]), 1, 1])
        elif 0 <= x < 80 and 0 <= y < 80:
            assert maps[y, x, 5] == 0
