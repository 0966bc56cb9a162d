"""Random changes to training images: as large as the settings say, and no larger."""

import io
from functools import partial

import numpy as np
import pytest
import skimage.color
from PIL import Image

from malaria.augmentation.augment import CHANGES, MOVES, augment
from malaria.augmentation.colours import STAINS
from malaria.augmentation.draws import Draws
from malaria.augmentation.resampling import resize
from malaria.networks.backend import tf
from malaria.settings.config import Augmentation

FLAGS = {"flips": True, "quarter_turns": True}
EVERYTHING = Augmentation(
    **dict.fromkeys(Augmentation.model_fields, 0.2) | FLAGS | {"rotation": 45}
).model_dump()


def images_like(*, side=32, count=64):
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3)).astype(np.uint8)


def augmented(images, seed=(1, 2), **settings):
    return augment(images, Augmentation(**settings).model_dump(), seed=list(seed)).numpy()


def test_no_augmentation_changes_nothing():
    images = images_like()
    assert (augmented(images) == np.float32(images) / np.float32(255)).all()


def spots(value, *, count, where=np.s_[8:25, 8:25], surround=0, side=33):
    """Images of a square of one grey level on a plain surround."""
    images = np.full((count, side, side, 3), surround, np.uint8)
    images[(slice(None), *where)] = value
    return images


@pytest.mark.parametrize("quarter_turns", [True, False])
def test_flips_and_quarter_turns_only_move_pixels_and_reach_every_position(quarter_turns):
    image = images_like(count=1)[0]
    turns = range(0, 4, 1 if quarter_turns else 2)
    positions = [np.rot90(base, turn) for base in (image, image[:, ::-1]) for turn in turns]
    results = augmented(np.stack([image] * 200), flips=True, quarter_turns=quarter_turns)
    found = [
        [np.abs(result - position / 255).max() < 1e-6 for position in positions].index(True)
        for result in results
    ]
    assert set(found) == set(range(len(positions)))


def test_rotation_turns_about_the_centre_by_at_most_so_many_degrees():
    east = spots(255, where=np.s_[30:35, 50:55], side=65, count=200)
    angles = [
        np.degrees(np.arctan2(32 - rows.mean(), columns.mean() - 32))
        for result in augmented(east, rotation=30)
        for rows, columns in [np.nonzero(result[:, :, 0] > 0.5)]
    ]
    assert -31 < min(angles) < -25
    assert 25 < max(angles) < 31


def test_zoom_changes_the_size_by_at_most_its_share():
    squares = spots(255, where=np.s_[12:53, 12:53], side=65, count=200)
    areas = [np.sqrt((r[:, :, 0] > 0.5).sum()) / 41 for r in augmented(squares, zoom=0.2)]
    assert 0.78 < min(areas) < 0.86
    assert 1.14 < max(areas) < 1.22


def test_shear_shifts_rows_sideways_in_proportion_to_their_height():
    for result in augmented(spots(255, where=np.s_[:, 32], side=65, count=20), shear=0.2):
        top, middle, bottom = (result[row, :, 0].argmax() for row in (4, 32, 60))
        assert middle == 32
        assert abs((top - 32) + (bottom - 32)) <= 1
        assert abs(top - 32) <= 0.2 * 28 + 1


def test_color_jitter_and_brightness_keep_the_black_surround_black():
    images = images_like()
    images[:, :8] = 0
    results = augmented(images, brightness=0.3, color_jitter=0.3)
    assert not results[:, :8].any()
    assert (results[:, 8:] != images[:, 8:] / np.float32(255)).any()


def test_color_jitter_changes_colours_apart_and_brightness_together():
    grey = np.full((50, 4, 4, 3), 100, np.uint8)
    brightness, jitter = augmented(grey, brightness=0.2), augmented(grey, color_jitter=0.2)
    assert np.ptp(brightness, axis=3).max() < 1e-6
    assert np.ptp(brightness[:, 0, 0, 0]) > 0.05
    assert np.ptp(jitter, axis=3).max() > 0.05
    for result in (brightness, jitter):
        assert np.abs(result * 255 / 100 - 1).max() <= 0.2 + 1e-5


@pytest.mark.parametrize("surround", [0, 200])
def test_what_a_rotation_brings_in_has_the_colour_of_the_corners(surround):
    images = spots(100, surround=surround, count=20)
    corners = augmented(images, rotation=45)[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    np.testing.assert_allclose(corners, surround / 255, atol=1e-6)


def test_another_aspect_ratio_makes_cells_wider_and_flatter_or_the_reverse():
    changed = augmented(spots(255, count=64), aspect_ratio=0.4)[..., 0]
    widths, heights = ((one > 0.5).sum(axis=1) for one in (changed[:, 16], changed[:, :, 16]))
    assert widths.min() < 16 < 19 < widths.max()
    assert np.corrcoef(widths, heights)[0, 1] < -0.9
    # The area stays as it is.
    np.testing.assert_allclose(widths * heights, 17 * 17, rtol=0.15)


def test_a_blur_mixes_neighbours_and_keeps_the_mean():
    images = images_like()
    changed = augmented(images, blur=1.0)
    before = images / 255
    after, plain = (one[:, 4:-4, 4:-4].std(axis=(1, 2, 3)) for one in (changed, before))
    deviations = after / plain
    assert deviations.min() < 0.5
    assert deviations.max() < 1.001
    np.testing.assert_allclose(changed.mean(axis=(1, 2)), before.mean(axis=(1, 2)), atol=0.05)


def cells_on(surround, *, count=200, colour=100):
    return spots(colour, where=np.s_[4:12, 4:12], surround=surround, side=16, count=count)


def test_a_share_of_the_cells_on_black_is_put_on_a_background_and_cells_stay():
    changed = augmented(cells_on(0), background=0.25)
    np.testing.assert_allclose(changed[:, 6:10, 6:10], 100 / 255, rtol=1e-5)
    chosen = changed.max(axis=(1, 2, 3)) > 0.5
    assert 0.15 < chosen.mean() < 0.35
    # Where no neighbour lies the background is light, and no two are alike.
    light = np.median(changed[chosen][:, 0].reshape(chosen.sum(), -1, 3), axis=1)
    assert (light[light.max(axis=1) > 0.5] >= 0.7).all()
    assert len(np.unique(light.round(4), axis=0)) > 0.9 * chosen.sum()


def test_neighbours_in_the_colour_of_the_cell_lie_at_the_sides():
    images = np.zeros((200, 16, 16, 3), np.uint8)
    images[:, 2:14, 2:14] = np.linspace(60, 180, 200)[:, None, None, None]
    changed = augmented(images, background=1.0)
    beside = np.abs(changed - changed[:, 8:9, 8:9]).max(axis=-1) < 0.02
    beside[:, 2:14, 2:14] = False
    assert 0.4 < beside.any(axis=(1, 2)).mean() < 1
    assert 0.01 < beside.mean() < 0.2


def test_a_cell_on_a_background_gets_none_and_one_on_black_is_not_masked():
    light, black = cells_on(220), cells_on(0)
    assert (augmented(light, background=1.0) == light / np.float32(255)).all()
    assert (augmented(black, mask=1.0) == black / np.float32(255)).all()


def test_a_share_of_the_cells_on_a_background_is_put_on_black():
    changed = augmented(cells_on(220), mask=0.25)
    chosen = (changed[:, 0, 0] == 0).all(axis=1)
    assert 0.15 < chosen.mean() < 0.35
    np.testing.assert_allclose(changed[:, 4:12, 4:12], 100 / 255, rtol=1e-5)
    # The middle of each side lies in the outline, or just outside.
    assert (changed[chosen][:, 8, 2] > 0.8).all()


def test_a_background_is_taken_from_another_image_that_has_one():
    images = np.concatenate([cells_on(180, count=1), cells_on(0, count=1)])
    changed = augmented(images, background=1.0)
    corners = changed[1][[0, 0, -1, -1], [0, -1, 0, -1]]
    assert (np.abs(corners - 180 / 255).max(axis=1) < 1e-5).sum() >= 2


def test_a_transferred_stain_is_that_of_the_next_image_and_black_stays():
    images = np.concatenate([cells_on(0, count=1, colour=80), cells_on(0, count=1, colour=150)])
    changed = augmented(images, stain_transfer=1.0)
    np.testing.assert_allclose(changed[0, 8, 8], 150 / 255, atol=1e-3)
    np.testing.assert_allclose(changed[:, 0, 0], 0)
    # The factor of the density is bounded.
    assert (augmented(images[:1], stain_transfer=1.0) - images[:1] / 255).max() < 1e-3


def test_stain_jitter_multiplies_the_density_of_each_stain():
    np.testing.assert_allclose(STAINS, skimage.color.rgb_from_hed)
    images = np.full((100, 4, 4, 3), (190, 110, 170), np.uint8)
    changed = augmented(images, stain_jitter=0.3)[:, 0, 0]
    stains = -np.log(changed) @ np.linalg.inv(STAINS)
    before = -np.log(images[:, 0, 0] / 255) @ np.linalg.inv(STAINS)
    factors = stains / before
    assert np.abs(factors - 1).max() <= 0.3 + 1e-3
    assert factors.std(axis=0).min() > 0.1
    assert np.abs(np.corrcoef(factors.T) - np.eye(3)).max() < 0.3


def test_half_of_the_images_lose_resolution_and_keep_their_mean():
    images = images_like()
    before = images / np.float32(255)
    changed = augmented(images, resolution=0.6)
    lost = np.abs(changed - before).max(axis=(1, 2, 3)) > 0.01
    assert 0.3 < lost.mean() < 0.7
    assert (changed[~lost] == before[~lost]).all()
    assert changed[lost].std() < 0.9 * before[lost].std()
    np.testing.assert_allclose(changed.mean(axis=(1, 2)), before.mean(axis=(1, 2)), atol=0.03)


@pytest.mark.parametrize("side", [32, 30])
def test_jpeg_rounds_as_pillow_does_at_its_qualities(side):
    random = np.random.default_rng(1).integers(0, 256, (40, 8, 8)).astype(np.uint8)
    # Grey, whose one channel both round by the same table.
    grey = [Image.fromarray(one).resize((side, side)).convert("RGB") for one in random]
    images = np.stack([np.asarray(one) for one in grey])
    before = images / np.float32(255)
    differences = np.abs(augmented(images, jpeg=1.0) - before).mean(axis=(1, 2, 3))

    def loss(quality):
        with io.BytesIO() as file:
            Image.fromarray(images[0]).save(file, "JPEG", quality=quality, subsampling=0)
            return np.abs(np.asarray(Image.open(file)) / 255 - before[0]).mean()

    assert 0.8 * loss(90) < differences.min() < differences.max() < 1.2 * loss(30)
    assert 0.2 < (augmented(images, jpeg=0.5) != before).any(axis=(1, 2, 3)).mean() < 0.8


def test_white_stays_at_most_white_however_it_is_mixed():
    white = spots(255, surround=255, count=64)
    assert augmented(white, rotation=45, zoom=0.2, blur=1.0, resolution=0.5).max() <= 1


def test_sides_that_differ_and_a_batch_of_one_are_changed_too_inside_of_the_graph():
    amounts = EVERYTHING | {"quarter_turns": False}
    changed = tf.function(partial(augment, amounts=amounts, seed=[0, 1]))(images_like()[:1, :, :20])
    assert changed.shape == (1, 32, 20, 3)
    assert np.isfinite(changed).all()
    assert 0 <= changed.numpy().min() <= changed.numpy().max() <= 1


def test_every_declared_augmentation_is_carried_out_by_exactly_one_function():
    carried_out = [name for step in [*MOVES, *CHANGES] for name in step.settings]
    # Of two images: `augment` itself calls it.
    assert sorted([*carried_out, "overlap"]) == sorted(Augmentation.model_fields)


@pytest.mark.parametrize("size", [(32, 25), (48, 48), (64, 50), (97, 120)])
def test_images_are_resized_as_tensorflow_does_it(size):
    images = np.random.default_rng(0).random((2, 64, 50, 3), np.float32)
    expected = tf.image.resize(images, size, antialias=True)
    np.testing.assert_allclose(resize(images, size), expected, rtol=0, atol=1e-4)


def test_xla_and_tensorflow_change_images_alike():
    images = tf.constant(images_like(side=24, count=16))
    # jpeg rounds: a digit before it can be a step after it.
    change = partial(augment, amounts=EVERYTHING | {"jpeg": 0.0}, seed=(1, 2))
    plain, compiled = (tf.function(change, jit_compile=jit)(images) for jit in (False, True))
    # Within a tenth of a grey level; where a comparison falls on an edge one digit decides.
    assert np.mean(np.abs(plain - compiled) > 0.1 / 255) < 1e-3


def test_random_numbers_are_spread_as_they_should_be_and_alike_in_xla():
    def draw():
        draws = Draws(tf.constant((1, 2)), 20_000)
        return draws.uniform(), draws.normal()

    uniform, normal = tf.function(draw)()
    for one, other in zip((uniform, normal), tf.function(draw, jit_compile=True)(), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)
    assert 0 <= np.min(uniform) < 0.001
    assert 0.999 < np.max(uniform) < 1
    assert (np.mean(uniform), np.std(uniform)) == pytest.approx((0.5, 1 / np.sqrt(12)), abs=0.01)
    assert (np.mean(normal), np.std(normal)) == pytest.approx((0, 1), abs=0.03)
