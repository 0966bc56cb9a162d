"""Random changes that fool a network and say nothing of a parasite."""

import numpy as np
import pytest

from malaria.augmentation.augment import augment
from malaria.settings.augmentation_settings import Augmentation

SIDE = 64
ROWS, COLUMNS = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
RADIUS = np.hypot(ROWS, COLUMNS)
LIGHT, CELL = 220, 130


def cells(count, *, surround=LIGHT, radius=0.95, colour=CELL):
    images = np.full((count, SIDE, SIDE, 3), surround, np.uint8)
    images[:, radius >= RADIUS] = colour
    return images


def augmented(images, can_be_laid=None, **settings):
    amounts = Augmentation(**settings).model_dump()
    return augment(images, amounts, seed=(1, 2), can_be_laid=can_be_laid).numpy()


def changed_share(images, **settings):
    changes = np.abs(augmented(images, **settings) - images / np.float32(255))
    return (changes.max(axis=(1, 2, 3)) > 1e-3).mean()


@pytest.mark.parametrize("name", ["crenation", "overlap", "spots", "grains", "paling"])
def test_that_share_of_the_images_is_changed(name):
    assert 0.15 < changed_share(cells(200), **{name: 0.25}) < 0.35


@pytest.mark.parametrize("name", ["crenation", "spots", "grains", "paling", "stain_mixing"])
def test_black_about_a_cell_stays_black(name):
    changed = augmented(cells(40, surround=0), **{name: 1.0 if name != "stain_mixing" else 0.2})
    assert changed[:, RADIUS > 1.02].max() < 0.02


@pytest.mark.parametrize("surround", [0, LIGHT])
def test_a_crenated_cell_has_8_to_25_spikes_as_long_as_it_was_wide(surround):
    angles, radii = np.arange(0, 2 * np.pi, 0.01)[:, None], np.arange(0.5, 1, 0.01)
    rows, columns = ((f(angles) * radii + 1) * (SIDE - 1) / 2 for f in (np.sin, np.cos))
    found = []
    for image in augmented(cells(60, surround=surround), crenation=1.0)[..., 0]:
        is_cell = np.abs(image - surround / 255) > 0.15
        assert RADIUS[is_cell].max() < 0.98
        rim = is_cell[rows.round().astype(int), columns.round().astype(int)].sum(axis=1)
        assert rim.max() > 40
        waves = np.abs(np.fft.rfft(rim - rim.mean()))
        found.append(waves.argmax())
    # Of the unevenest ones another frequency is stronger.
    assert np.mean((np.array(found) >= 8) & (np.array(found) <= 25)) > 0.8
    assert np.ptp(found) > 10


def test_the_middle_of_a_crenated_cell_keeps_its_place_and_its_mean():
    images = cells(40)
    images[:, RADIUS < 0.2] = 60
    changed = augmented(images, crenation=1.0)
    assert (changed[:, RADIUS < 0.15] < 0.4).all()
    np.testing.assert_allclose(changed[:, RADIUS < 0.15].mean(), 60 / 255, atol=0.02)


def test_where_two_cells_lie_on_each_other_their_transmittances_are_multiplied():
    changed = augmented(cells(40), overlap=1.0)[..., 0] / (LIGHT / 255)
    through_one, through_two = CELL / LIGHT, (CELL / LIGHT) ** 2
    levels = [1, through_one, through_two]
    distance = np.min([np.abs(changed - level) for level in levels], axis=0)
    assert np.quantile(distance, 0.99) < 0.01
    is_lens = np.abs(changed - through_two) < 0.01
    assert 0.02 < is_lens.mean(axis=(1, 2)).min() < is_lens.mean(axis=(1, 2)).max() < 0.6
    # The middle is never hidden by both.
    assert not is_lens[:, RADIUS < 0.05].all()


def test_only_cells_that_may_be_laid_on_others_are():
    images = cells(40)
    images[::2, RADIUS < 0.1] = (90, 20, 120)
    is_plain = np.arange(40) % 2 == 1
    changed = augmented(images, can_be_laid=is_plain, overlap=1.0) != images / np.float32(255)
    # Of each image the one before is laid on it.
    np.testing.assert_array_equal(changed.any(axis=(1, 2, 3)), ~is_plain)


def test_beside_a_cell_on_black_the_other_one_is_seen_in_the_light_of_the_field():
    changed = augmented(cells(40, surround=0), overlap=1.0)[..., 0]
    # Its own brightest colour is all that a cell on black tells of the light.
    beside = changed[:, RADIUS > 1.1]
    assert (beside > 0).any()
    assert changed.max() <= CELL / 255 + 1e-5


def test_grains_and_platelets_are_dark_and_purple_and_spots_have_a_bright_middle():
    images = cells(100)
    before = images / np.float32(255)
    grains, spots = augmented(images, grains=1.0), augmented(images, spots=1.0)
    assert (grains <= before + 1e-6).all()
    dark = -np.log(grains / before).mean(axis=(0, 1, 2))
    assert dark[1] > dark[0] > dark[2]
    assert (spots > before + 0.05).any(axis=(1, 2, 3)).all()
    assert (spots < before - 0.05).any(axis=(1, 2, 3)).mean() > 0.9


def test_a_pale_cell_keeps_what_is_dark_in_it():
    images = cells(40)
    images[:, RADIUS < 0.15] = 20
    changed = augmented(images, paling=1.0)
    assert (changed[:, RADIUS < 0.14] < 0.15).all()
    assert (changed[:, (RADIUS > 0.3) & (RADIUS < 0.9)] > CELL / 255 + 0.02).all()


def test_half_of_the_images_lose_at_most_that_share_of_the_light():
    images = cells(200)
    light = augmented(images, exposure=0.4)[:, 0, 0, 0] / (LIGHT / 255)
    assert 0.35 < (light < 1 - 1e-6).mean() < 0.65
    assert 0.6 <= light.min() < 0.65


def test_a_stronger_stain_multiplies_all_densities_alike_and_leaves_white():
    images = cells(200, surround=255)
    changed = augmented(images, stain_strength=1.0)
    np.testing.assert_allclose(changed[:, 0, 0], 1, atol=1e-6)
    factors = np.log(changed[:, 32, 32]) / np.log(CELL / 255)
    assert np.ptp(factors, axis=1).max() < 1e-3
    assert 0.5 - 1e-3 < factors.min() < 0.6
    assert 1.8 < factors.max() < 2 + 1e-3


def test_mixed_stains_add_at_most_that_share_of_each_channel_to_another():
    images = cells(200, surround=255, colour=(200, 120, 180))
    changed = augmented(images, stain_mixing=0.1)
    np.testing.assert_allclose(changed[:, 0, 0], 1, atol=1e-6)
    before, after = (-np.log(one) for one in (images[:, 32, 32] / 255, changed[:, 32, 32]))
    assert (np.abs(after - before) <= 0.1 * before.sum(axis=1, keepdims=True) + 1e-4).all()
    assert (after - before).std(axis=0).min() > 0.01
