"""Random changes to training images: as large as the settings say, and no larger."""

import numpy as np

from malaria.networks.backend import tf
from malaria.training.augmentation import CHANGES, MOVES, augment
from malaria.training.config import Augmentation

EVERYTHING = Augmentation(
    flips=True,
    quarter_turns=True,
    rotation=45,
    shear=0.1,
    zoom=0.1,
    aspect_ratio=0.1,
    blur=0.5,
    brightness=0.2,
    color_jitter=0.2,
    background=0.2,
)


def images_like(*, side=32, count=64):
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3)).astype(np.uint8)


def augmented(images, seed=(1, 2), **settings):
    return augment(images, Augmentation(**settings).model_dump(), seed=list(seed)).numpy()


def test_no_augmentation_changes_nothing():
    images = images_like()
    assert (augmented(images) == np.float32(images) / np.float32(255)).all()


def test_flips_and_quarter_turns_only_move_pixels_and_reach_all_eight_positions():
    image = images_like(count=1)[0]
    positions = [np.rot90(base, turns) for base in (image, image[:, ::-1]) for turns in range(4)]
    results = augmented(np.stack([image] * 200), flips=True, quarter_turns=True)
    found = [
        [np.abs(result - position / 255).max() < 1e-6 for position in positions].index(True)
        for result in results
    ]
    assert set(found) == set(range(8))


def test_flips_alone_turn_nothing_by_a_quarter():
    image = images_like(count=1)[0]
    positions = [image, image[::-1], image[:, ::-1], image[::-1, ::-1]]
    for result in augmented(np.stack([image] * 50), flips=True):
        assert any(np.abs(result - position / 255).max() < 1e-6 for position in positions)


def test_rotation_turns_about_the_centre_by_at_most_so_many_degrees():
    image = np.zeros((65, 65, 3), np.uint8)
    image[30:35, 50:55] = 255  # east of the centre
    angles = [
        np.degrees(np.arctan2(32 - rows.mean(), columns.mean() - 32))
        for result in augmented(np.stack([image] * 200), rotation=30)
        for rows, columns in [np.nonzero(result[:, :, 0] > 0.5)]
    ]
    assert -31 < min(angles) < -25
    assert 25 < max(angles) < 31


def test_zoom_changes_the_size_by_at_most_its_share():
    image = np.zeros((65, 65, 3), np.uint8)
    image[12:53, 12:53] = 255
    areas = [
        np.sqrt((r[:, :, 0] > 0.5).sum()) / 41 for r in augmented(np.stack([image] * 200), zoom=0.2)
    ]
    assert 0.78 < min(areas) < 0.86
    assert 1.14 < max(areas) < 1.22


def test_shear_shifts_rows_sideways_in_proportion_to_their_height():
    image = np.zeros((65, 65, 3), np.uint8)
    image[:, 32] = 255
    for result in augmented(np.stack([image] * 20), shear=0.2):
        top, middle, bottom = (result[row, :, 0].argmax() for row in (4, 32, 60))
        assert middle == 32
        assert abs((top - 32) + (bottom - 32)) <= 1
        assert abs(top - 32) <= 0.2 * 28 + 1


def test_color_jitter_and_brightness_keep_the_black_surround_black():
    images = images_like()
    images[:, :8] = 0
    results = augmented(images, brightness=0.3, color_jitter=0.3)
    assert (results[:, :8] == 0).all()
    assert (results[:, 8:] != images[:, 8:] / np.float32(255)).any()


def test_color_jitter_changes_colours_apart_and_brightness_together():
    grey = np.full((50, 4, 4, 3), 100, np.uint8)
    brightness, jitter = augmented(grey, brightness=0.2), augmented(grey, color_jitter=0.2)
    assert np.ptp(brightness, axis=3).max() < 1e-6
    assert np.ptp(brightness[:, 0, 0, 0]) > 0.05
    assert np.ptp(jitter, axis=3).max() > 0.05
    for result in (brightness, jitter):
        assert np.abs(result * 255 / 100 - 1).max() <= 0.2 + 1e-5


def test_what_a_rotation_brings_in_is_black():
    white = np.full((20, 33, 33, 3), 255, np.uint8)
    corners = augmented(white, rotation=45)[:, 0, 0]
    assert (corners == 0).any()


def test_another_aspect_ratio_makes_cells_wider_and_flatter_or_the_reverse():
    white = np.zeros((64, 33, 33, 3), np.uint8)
    white[:, 8:25, 8:25] = 255
    changed = augmented(white, aspect_ratio=0.4)[..., 0]
    widths = (changed[:, 16] > 0.5).sum(axis=1)
    heights = (changed[:, :, 16] > 0.5).sum(axis=1)
    assert widths.min() < 16 < 19 < widths.max()
    assert np.corrcoef(widths, heights)[0, 1] < -0.9
    # The area stays as it is.
    np.testing.assert_allclose(widths * heights, 17 * 17, rtol=0.15)


def test_a_blur_mixes_neighbours_and_keeps_the_mean():
    images = images_like()
    changed = augmented(images, blur=1.0)
    before = images / 255
    inner = (slice(None), slice(4, -4), slice(4, -4))
    deviations = changed[inner].std(axis=(1, 2, 3)) / before[inner].std(axis=(1, 2, 3))
    assert deviations.min() < 0.5
    assert deviations.max() < 1.001
    np.testing.assert_allclose(changed.mean(axis=(1, 2)), before.mean(axis=(1, 2)), atol=0.05)


def test_the_surround_becomes_light_in_a_share_of_the_images_and_cells_stay():
    images = np.zeros((200, 16, 16, 3), np.uint8)
    images[:, 4:12, 4:12] = 100
    changed = augmented(images, background=0.25)
    np.testing.assert_allclose(changed[:, 4:12, 4:12], 100 / 255, rtol=1e-5)
    corners = changed[:, 0, 0]
    chosen = corners.max(axis=1) > 0
    assert 0.15 < chosen.mean() < 0.35
    assert (corners[chosen] >= 0.75).all()
    assert len(np.unique(corners[chosen].round(4), axis=0)) == chosen.sum()


def test_augmentation_runs_inside_the_graph():
    function = tf.function(lambda images: augment(images, EVERYTHING.model_dump(), seed=[0, 1]))
    assert function(images_like()[:4]).shape == (4, 32, 32, 3)


def test_every_declared_augmentation_is_carried_out_by_exactly_one_function():
    carried_out = [name for step in [*MOVES, *CHANGES] for name in step.settings]
    assert sorted(carried_out) == sorted(Augmentation.model_fields)
