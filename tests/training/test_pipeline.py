"""Batches of tensors: the right pixels in the right order, changed at random only in training."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from learning import pipeline_of

from malaria.data.dataset import scan_folder
from malaria.data.drawn_cells import LABELS, write_cells
from malaria.data.pixel_store import load_pixels
from malaria.evaluation.tta import turn
from malaria.pictures.images import PixelFormat, read_image
from malaria.training.batches import WHOLE, Shards, encode_labels, validation_batches
from malaria.training.order import balance, balance_within, epoch_order
from malaria.training.pipeline import choose_validation

SIZE = (32, 32)
EVERYTHING = {"flips": True, "quarter_turns": True, "rotation": 45, "shear": 0.1, "zoom": 0.1}
EVERYTHING |= {"brightness": 0.2, "color_jitter": 0.2}


@pytest.fixture(scope="module")
def pixels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cells")
    write_cells(folder, 10, seed=1, patients=2)
    samples = scan_folder(folder, LABELS, r"^C(\d+)")
    return load_pixels(samples, PixelFormat(SIZE), cache="memory", folder=folder)[0]


def dataset_of(pixels, epoch=0, size=None, shards=WHOLE, **settings):
    pipeline = pipeline_of(pixels, **{"seed": 3} | settings)
    return replace(pipeline, image_size=lambda epoch: size).epoch_batches(epoch, shards)


def batches_of(pixels, **changes):
    """Their images and labels as a list of arrays."""
    return [(batch.images.numpy(), batch.labels.numpy()) for batch in dataset_of(pixels, **changes)]


def test_an_epoch_shows_every_sample_once_with_its_own_label(pixels):
    batches = batches_of(pixels)
    assert [len(images) for images, _ in batches] == [8, 8, 4]
    shown = np.concatenate([images for images, _ in batches])
    labels = np.concatenate([labels for _, labels in batches])[:, 0]
    assert pixels.stored.dtype == np.uint8
    for sample, stored in zip(pixels.samples, pixels.stored, strict=True):
        [place] = np.flatnonzero((shown == np.float32(stored) / np.float32(255)).all((1, 2, 3)))
        assert labels[place] == sample.label


def test_validation_batches_are_what_classifying_reads_in_the_same_order_every_time(pixels):
    read = np.stack([read_image(sample.path, pixels.pixel_format) for sample in pixels.samples])
    for _ in range(2):
        batches = list(validation_batches(pixels, np.arange(20), 8))
        shown = np.concatenate([batch.images for batch in batches])
        assert (shown == np.float32(read) / np.float32(255)).all()


@pytest.mark.parametrize("changes", [{}, EVERYTHING], ids=["in order", "and changed"])
def test_an_epoch_is_alike_whatever_ran_before_and_unlike_the_next(pixels, changes):
    first, again, second = (
        np.concatenate([images for images, _ in batches_of(pixels, epoch=epoch, **changes)])
        for epoch in (4, 4, 5)
    )
    assert (first == again).all()
    assert (first != second).any()
    assert first.dtype == np.float32
    assert 0 <= first.min() < first.max() <= 1


def test_more_steps_than_one_pass_go_on_through_the_samples():
    orders = [epoch_order(np.arange(20), batch_size=8, steps=6, epoch=e, seed=0) for e in range(5)]
    assert [len(order) for order in orders] == [48] * 5
    stream = np.concatenate(orders)
    for start in range(0, 240, 20):
        assert sorted(stream[start : start + 20]) == list(range(20))


def test_some_validation_batches_are_a_fixed_mix_of_both_labels(pixels):
    chosen = choose_validation(np.arange(20), 1, 8)
    assert (chosen == choose_validation(np.arange(20), 1, 8)).all()
    labels = [pixels.samples[index].label for index in chosen]
    assert 0 < np.mean(labels) < 1
    assert len(set(chosen.tolist())) == 8


@pytest.mark.parametrize(
    ("label_count", "expected"), [(2, [[0.0], [1.0]]), (3, [0, 1])], ids=["sigmoid", "softmax"]
)
def test_labels_are_as_the_loss_wants_them(label_count, expected):
    assert encode_labels([0, 1], label_count=label_count).tolist() == expected


def test_the_set_keeps_its_number_of_labels_when_a_side_lacks_one(pixels):
    only_second = np.flatnonzero([sample.label == 1 for sample in pixels.samples])
    [batch] = validation_batches(pixels, only_second, 20)
    assert batch.labels.numpy().tolist() == [[1.0]] * 10


def test_small_images_are_whole_ones_made_smaller(pixels):
    [(images, labels)] = batches_of(pixels, batch_size=20, size=(16, 16))
    [(whole, same)] = batches_of(pixels, batch_size=20)
    assert images.shape == (20, 16, 16, 3)
    np.testing.assert_array_equal(labels, same)
    np.testing.assert_allclose(images.mean(axis=(1, 2)), whole.mean(axis=(1, 2)), atol=0.01)


def test_validation_batches_can_be_seen_from_all_sides(pixels):
    [plain] = validation_batches(pixels, np.arange(20), 20)
    for view in (1, 6):
        [seen] = validation_batches(pixels, np.arange(20), 20, view=view)
        np.testing.assert_allclose(seen.images, turn(plain.images.numpy(), view))


def test_nothing_waits_at_the_end_of_an_epoch_for_a_tuner_that_sleeps(pixels):
    for batches in (dataset_of(pixels), validation_batches(pixels, np.arange(20), 8)):
        assert batches.options().autotune.enabled is False


def test_the_shards_of_a_batch_are_the_whole_batch_in_its_order(pixels):
    whole = batches_of(pixels)
    found = list(dataset_of(pixels, shards=Shards(0, 3, 3)))
    for number, (images, labels) in enumerate(whole):
        own = found[number * 3 : number * 3 + 3]
        assert (np.concatenate([shard.images for shard in own]) == images).all()
        assert (np.concatenate([shard.labels for shard in own]) == labels).all()
        assert {int(shard.size) for shard in own} == {len(images)}
        assert len({tuple(shard.seed.numpy()) for shard in own}) == 3
    # Of two machines the second one makes the last two shards itself.
    for ours, of_all in zip(dataset_of(pixels, shards=Shards(1, 2, 3)), found[1:3], strict=False):
        assert (ours.images.numpy() == of_all.images.numpy()).all()


def test_a_balanced_label_is_shown_as_often_as_the_most_frequent_and_nothing_is_lost():
    shown = balance(np.arange(10, 31), np.array([0] + [1] * 20))
    assert np.bincount(shown, minlength=31)[10:].tolist() == [20] + [1] * 20


def test_balanced_sources_are_shown_alike_within_each_label():
    labels = np.array([0] * 4 + [1] * 9)
    sources = ["x"] * 3 + ["y"] + ["x"] * 5 + ["y"] + ["z"] * 3
    shown = balance(np.arange(13), labels, sources)
    counts = Counter((labels[index], sources[index]) for index in shown.tolist())
    assert counts == {(0, "x"): 8, (0, "y"): 7, (1, "x"): 5, (1, "y"): 5, (1, "z"): 5}
    assert set(shown) == set(range(13))


def test_labels_are_balanced_within_each_source_that_has_several():
    labels = np.array([0] * 4 + [1] * 9)
    sources = ["x"] * 3 + ["y"] + ["x"] * 2 + ["y"] * 5 + ["z"] * 2
    shown = balance_within(np.arange(13), labels, sources)
    counts = Counter((labels[index], sources[index]) for index in shown.tolist())
    assert counts == {(0, "x"): 3, (1, "x"): 3, (0, "y"): 5, (1, "y"): 5, (1, "z"): 2}
    assert set(shown) == set(range(13))
