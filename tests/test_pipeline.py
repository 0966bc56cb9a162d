"""Batches of tensors: right pixels, right order, changed at random only in training."""

import numpy as np
import pytest

from malaria.backend import tf
from malaria.config import Augmentation
from malaria.dataset import scan_folder
from malaria.images import PixelFormat, read_image
from malaria.pipeline import (
    augment,
    encode_labels,
    epoch_order,
    training_batches,
    validation_batches,
)
from malaria.pixels import load_pixels
from malaria.synthetic import LABELS, write_cells
from malaria.views import turn

SIZE = (32, 32)
NOTHING = Augmentation()
EVERYTHING = Augmentation(
    flips=True, quarter_turns=True, rotation=45, shear=0.1, zoom=0.1, brightness=0.2, stain=0.2
)


@pytest.fixture(scope="module")
def pixels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cells")
    write_cells(folder, 10, seed=1, patients=2)
    samples = scan_folder(folder, LABELS, r"^C(\d+)")
    return load_pixels(samples, PixelFormat(SIZE), cache="memory", folder=folder)[0]


def batches_of(pixels, *, epoch=0, steps=None, augmentation=NOTHING, seed=3):
    batches = training_batches(
        pixels,
        np.arange(20),
        batch_size=8,
        steps=steps,
        epoch=epoch,
        seed=seed,
        augmentation=augmentation,
    )
    return [(images.numpy(), labels.numpy()) for images, labels in batches]


def images_like(*, side=32, count=64):
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3)).astype(np.uint8)


def augmented(images, seed=(1, 2), **settings):
    return augment(images, Augmentation(**settings), seed=list(seed)).numpy()


def test_an_epoch_shows_every_sample_once_with_its_own_label(pixels):
    batches = batches_of(pixels)
    assert [len(images) for images, _ in batches] == [8, 8, 4]
    shown = np.concatenate([images for images, _ in batches])
    labels = np.concatenate([labels for _, labels in batches])[:, 0]
    for sample, stored in zip(pixels.samples, pixels.stored, strict=True):
        [place] = np.flatnonzero((shown == np.float32(stored) / np.float32(255)).all((1, 2, 3)))
        assert labels[place] == sample.label


def test_images_are_float32_from_0_to_1_also_when_changed(pixels):
    for images, _ in batches_of(pixels, augmentation=EVERYTHING):
        assert images.dtype == np.float32
        assert images.min() >= 0
        assert images.max() <= 1


def test_training_batches_without_augmentation_are_what_classifying_reads(pixels):
    [(images, _), *_] = validation_batches(pixels, np.arange(20), batch_size=20)
    read = np.stack([read_image(sample.path, pixels.pixel_format) for sample in pixels.samples])
    assert (images.numpy() == np.float32(read) / np.float32(255)).all()


def test_each_epoch_has_its_own_order_and_the_same_epoch_always_the_same(pixels):
    first, again, second = (batches_of(pixels, epoch=epoch) for epoch in (0, 0, 1))
    assert all((a[0] == b[0]).all() for a, b in zip(first, again, strict=True))
    assert not all((a[0] == b[0]).all() for a, b in zip(first, second, strict=True))


def test_an_epoch_is_augmented_alike_whatever_ran_before_and_unlike_the_next(pixels):
    first, again, second = (
        batches_of(pixels, epoch=epoch, augmentation=EVERYTHING)[0][0] for epoch in (4, 4, 5)
    )
    assert (first == again).all()
    assert (first != second).any()


def test_more_steps_than_one_pass_go_on_through_the_samples():
    orders = [epoch_order(np.arange(20), batch_size=8, steps=6, epoch=e, seed=0) for e in range(5)]
    assert [len(order) for order in orders] == [48] * 5
    stream = np.concatenate(orders)
    for start in range(0, 240, 20):
        assert sorted(stream[start : start + 20]) == list(range(20))


def test_validation_batches_are_never_changed_and_always_in_the_same_order(pixels):
    once, twice = (
        [images.numpy() for images, _ in validation_batches(pixels, np.arange(20), batch_size=8)]
        for _ in range(2)
    )
    assert all((a == b).all() for a, b in zip(once, twice, strict=True))
    assert sum(map(len, once)) == 20


def test_some_validation_batches_are_a_fixed_mix_of_both_labels(pixels):
    batches = validation_batches(pixels, np.arange(20), batch_size=8, steps=1)
    [(_, labels)] = list(batches)
    assert 0 < labels.numpy().mean() < 1
    assert len(labels) == 8


@pytest.mark.parametrize(
    ("label_count", "expected"), [(2, [[0.0], [1.0]]), (3, [0, 1])], ids=["sigmoid", "softmax"]
)
def test_labels_are_as_the_loss_wants_them(label_count, expected):
    assert encode_labels([0, 1], label_count=label_count).tolist() == expected


def test_the_set_keeps_its_number_of_labels_when_a_side_lacks_one(pixels):
    only_second = np.flatnonzero([sample.label == 1 for sample in pixels.samples])
    [(_, labels), *_] = validation_batches(pixels, only_second, batch_size=20)
    assert labels.numpy().tolist() == [[1.0]] * 10


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


def test_stain_and_brightness_keep_the_black_surround_black():
    images = images_like()
    images[:, :8] = 0
    results = augmented(images, brightness=0.3, stain=0.3)
    assert (results[:, :8] == 0).all()
    assert (results[:, 8:] != images[:, 8:] / np.float32(255)).any()


def test_stain_changes_colours_apart_and_brightness_together():
    grey = np.full((50, 4, 4, 3), 100, np.uint8)
    brightness, stain = augmented(grey, brightness=0.2), augmented(grey, stain=0.2)
    assert np.ptp(brightness, axis=3).max() < 1e-6
    assert np.ptp(brightness[:, 0, 0, 0]) > 0.05
    assert np.ptp(stain, axis=3).max() > 0.05
    for result in (brightness, stain):
        assert np.abs(result * 255 / 100 - 1).max() <= 0.2 + 1e-5


def test_what_a_rotation_brings_in_is_black():
    white = np.full((20, 33, 33, 3), 255, np.uint8)
    corners = augmented(white, rotation=45)[:, 0, 0]
    assert (corners == 0).any()


def test_the_set_is_never_held_as_float32(pixels):
    assert pixels.stored.dtype == np.uint8
    assert pixels.stored.nbytes == 20 * 32 * 32 * 3


def test_augmentation_runs_inside_the_graph(pixels):
    function = tf.function(lambda images: augment(images, EVERYTHING, seed=[0, 1]))
    assert function(pixels.stored[:4]).shape == (4, 32, 32, 3)


def test_a_stretch_makes_cells_wider_and_flatter_or_the_reverse():
    white = np.zeros((64, 33, 33, 3), np.uint8)
    white[:, 8:25, 8:25] = 255
    changed = augmented(white, stretch=0.4)[..., 0]
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


def test_small_images_are_whole_ones_made_smaller(pixels):
    small = training_batches(
        pixels,
        np.arange(20),
        batch_size=20,
        steps=None,
        epoch=0,
        seed=3,
        augmentation=NOTHING,
        size=(16, 16),
    )
    [(images, labels)] = [(images.numpy(), labels.numpy()) for images, labels in small]
    [(whole, same)] = [
        (np.concatenate(parts), np.concatenate(others))
        for parts, others in [zip(*batches_of(pixels), strict=True)]
    ]
    assert images.shape == (20, 16, 16, 3)
    np.testing.assert_array_equal(labels, same)
    np.testing.assert_allclose(images.mean(axis=(1, 2)), whole.mean(axis=(1, 2)), atol=0.01)


def test_validation_batches_can_be_seen_from_all_sides(pixels):
    def images_of(view):
        return np.concatenate(
            [
                batch
                for batch, _ in validation_batches(pixels, np.arange(20), batch_size=8, view=view)
            ]
        )

    np.testing.assert_allclose(images_of(1), turn(images_of(0), 1))
    np.testing.assert_allclose(images_of(6), turn(images_of(0), 6))


def test_nothing_waits_at_the_end_of_an_epoch_for_a_tuner_that_sleeps(pixels):
    for batches in (
        training_batches(
            pixels,
            np.arange(20),
            batch_size=8,
            steps=None,
            epoch=0,
            seed=3,
            augmentation=NOTHING,
        ),
        validation_batches(pixels, np.arange(20), batch_size=8),
    ):
        assert batches.options().autotune.enabled is False
