"""Tests of malaria/inference/predict.py, with networks that are plain functions."""

import itertools
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image
from plain_network import PlainNetwork

from malaria.base.machine import MOST_WORKERS, worker_count
from malaria.inference.classifier import Classifier
from malaria.inference.network import BATCH_SIZE
from malaria.inference.predict import READ_AHEAD, Rate, annotate, predict
from malaria.inference.prediction import Prediction
from malaria.pictures.images import PixelFormat
from malaria.saved.metadata import Metadata

TWO = ("Parasitized", "Uninfected")


def classifier(network, labels=TWO, positive="Parasitized", threshold=0.5, batch_size=8, **pixels):
    metadata = Metadata(labels, positive, PixelFormat((6, 4), **pixels), threshold)
    return Classifier(metadata, PlainNetwork(network, batch_size=batch_size))


def red(images):
    return images[:, :1, 0, 0]  # of the first pixel, 0..1


def write_reds(folder, levels):
    """One image for each grey level of red; None is no image."""
    paths = [folder / f"{number}.png" for number in range(len(levels))]
    for path, level in zip(paths, levels, strict=True):
        path.write_text("no image")
        if level is not None:
            Image.new("RGB", (9, 9), (level, 20, 10)).save(path)
    return paths


@pytest.mark.parametrize("batch_size", [1, 2, 3, 100])
def test_every_path_gets_its_own_answer_in_order(tmp_path, batch_size):
    levels = [0, 255, 51, None, 204, 102, 0, None]
    paths = write_reds(tmp_path, levels)
    predictions = list(predict(paths, classifier(red, batch_size=batch_size)))
    assert [prediction.path for prediction in predictions] == paths
    for level, prediction in zip(levels, predictions, strict=True):
        if level is None:
            assert prediction == Prediction(prediction.path, error="not an image of a known kind")
        else:
            assert prediction.error is None
            assert prediction.probabilities == pytest.approx((1 - level / 255, level / 255))
            assert prediction.label == TWO[level > 127]
            assert prediction.probability == max(prediction.probabilities)


def test_the_network_sees_whole_batches_of_floats(tmp_path):
    network = Mock(side_effect=red)
    list(predict(write_reds(tmp_path, [0, 1, None, 3, 4, 5, 6]), classifier(network, batch_size=3)))
    seen = [call.args[0] for call in network.call_args_list]
    assert sorted(images.shape for images in seen) == [(count, 6, 4, 3) for count in (1, 2, 3)]
    assert {images.dtype for images in seen} == {np.dtype(np.float32)}


@pytest.mark.parametrize("names", [[], ["none.png", "nothing.png"]])
def test_without_a_readable_image_the_network_is_not_asked(tmp_path, names):
    predictions = list(predict([tmp_path / name for name in names], classifier(network=None)))
    assert [prediction.error for prediction in predictions] == ["no such file"] * len(names)


def test_an_endless_list_of_paths_is_not_read_far_ahead(tmp_path):
    [path] = write_reds(tmp_path, [255])
    taken = itertools.count()
    paths = (path for _ in taken)
    predictions = predict(paths, classifier(red, batch_size=4))
    for asked in range(1, 30):
        next(predictions)
        batches_begun = -(-asked // 4)
        assert next(taken) <= 4 * (batches_begun + READ_AHEAD * worker_count()) + asked
    predictions.close()
    # On the largest machine too a few hundred cells are in memory.
    assert BATCH_SIZE * READ_AHEAD * MOST_WORKERS < 300


def test_pixels_are_scaled_and_ordered_as_the_metadata_says(tmp_path):
    network = Mock(side_effect=red)
    for pixels in ({}, {"colour": "BGR", "resampling": "bicubic"}, {"scale": 1.0}):
        list(predict(write_reds(tmp_path, [255]), classifier(network, **pixels)))
    seen = [call.args[0][0, 0, 0] for call in network.call_args_list]
    rgb = np.array([255, 20, 10])
    np.testing.assert_allclose(seen, [rgb / 255, rgb[::-1] / 255, rgb], rtol=1e-6)


@pytest.mark.parametrize(
    ("positive", "threshold", "label"), [(0, 0.5, 1), (0, 0.19, 0), (1, 0.5, 1), (1, 0.81, 0)]
)
def test_the_metadatas_threshold_decides(tmp_path, positive, threshold, label):
    paths = write_reds(tmp_path, [204])  # one fifth parasitized, four fifths uninfected
    [prediction] = predict(paths, classifier(red, positive=TWO[positive], threshold=threshold))
    assert prediction.label == TWO[label]
    assert prediction.probability == pytest.approx((0.2, 0.8)[label])


def test_of_three_labels_the_likeliest_is_named(tmp_path):
    def network(images):
        share = red(images)
        return np.concatenate([0.6 * share, 0.6 - 0.6 * share, 0 * share + 0.4], axis=1)

    three = classifier(network, ("a", "b", "c"), "b")
    predictions = list(predict(write_reds(tmp_path, [255, 0, 128]), three))
    assert [prediction.label for prediction in predictions] == ["a", "b", "c"]
    assert predictions[0].probabilities == pytest.approx((0.6, 0, 0.4))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1.3, -0.2])
def test_what_is_no_probability_is_an_error_and_never_a_label(tmp_path, value):
    predictions = list(
        predict(write_reds(tmp_path, [1, 2]), classifier(lambda images: red(images) + value))
    )
    for prediction in predictions:
        assert prediction.label is prediction.probability is prediction.probabilities is None
        assert prediction.error.startswith("the network gave no probabilities: (")


def test_a_network_that_fails_is_not_taken_for_a_bad_image(tmp_path):
    network = Mock(side_effect=FloatingPointError("odd"))
    with pytest.raises(FloatingPointError):
        list(predict(write_reds(tmp_path, [1, 2, 3]), classifier(network)))


def test_a_doubtful_image_is_for_review_with_the_probability_of_the_positive_label(tmp_path):
    paths = write_reds(tmp_path, [0, 90, 128, 165, 255])  # P(Parasitized) 1, 0.65, 0.498, 0.35, 0
    doubting = classifier(red).with_threshold(review=(0.4, 0.6))
    predictions = list(predict(paths, doubting))
    named = [prediction.label for prediction in predictions]
    assert named == [TWO[0], TWO[0], "review", TWO[1], TWO[1]]
    assert predictions[2].probability == predictions[2].probabilities[0] < 0.5
    assert predictions[4].probability == predictions[4].probabilities[1] == 1


def test_probabilities_have_the_digits_of_a_float32_and_no_more(tmp_path):
    [prediction] = predict(write_reds(tmp_path, [77]), classifier(red))
    for probability in prediction.probabilities:
        assert len(str(probability)) <= len("0.1234567")
    assert sum(prediction.probabilities) == pytest.approx(1, abs=1e-7)


def test_groups_and_true_labels_are_those_of_the_files(tmp_path):
    [path] = write_reds(tmp_path, [0])
    predictions = [Prediction(path, "a"), Prediction(None, "b")]
    first, second = annotate(predictions, group_of=lambda path: path.stem, label_of=lambda _: "x")
    assert (first.label, first.group, first.true_label) == ("a", "0", "x")
    assert second == predictions[1]


def test_what_takes_time_after_the_last_image_does_not_slow_the_rate(monkeypatch):
    clock = iter([10.0, 11.0, 12.0, 999.0])
    monkeypatch.setattr("malaria.inference.predict.time.perf_counter", lambda: next(clock))
    rate = Rate()
    assert rate.per_second == 0
    assert len(list(rate.measure([Prediction(), Prediction()]))) == 2
    assert rate.per_second == 1.0
