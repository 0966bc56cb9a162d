"""The eight quarter turns and flips, and answers averaged over them."""

import numpy as np
import pytest
from plain_network import PlainNetwork

from malaria.base.errors import UsageError
from malaria.evaluation.tta import VIEWS, average, turn
from malaria.inference.classifier import Classifier
from malaria.pictures.images import PixelFormat
from malaria.saved.metadata import Metadata

LABELS = ("Parasitized", "Uninfected")
# Every corner is unlike, so no two views of it are alike.
IMAGES = np.arange(2 * 3 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3, 3)


def classifier(network, size=(3, 3), tta=False):
    metadata = Metadata(LABELS, "Parasitized", PixelFormat(size, scale=1.0), tta=tta)
    return Classifier(metadata, PlainNetwork(network))


def corner(images):
    return images[:, 0, 0, :1] / 100


def test_there_are_eight_unlike_views_and_the_first_is_the_image_itself():
    views = [turn(IMAGES, view) for view in VIEWS]
    assert len({view.tobytes() for view in views}) == len(views) == 8
    np.testing.assert_array_equal(views[0], IMAGES)


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_moves_pixels_and_changes_none(view):
    turned = turn(IMAGES, view)
    assert turned.flags.c_contiguous
    np.testing.assert_array_equal(turned[:, 1, 1], IMAGES[:, 1, 1])
    for before, after in zip(IMAGES.reshape(2, 9, 3), turned.reshape(2, 9, 3), strict=True):
        assert sorted(before.tolist()) == sorted(after.tolist())


def test_answers_are_averaged_as_floats_of_four_bytes():
    mean = average(np.float32([[[1.0, 0.0]], [[0.5, 0.5]]]))
    assert mean.dtype == np.float32
    assert mean.tolist() == [[0.75, 0.25]]


def test_with_tta_the_answer_is_the_mean_of_those_to_all_views():
    corners = IMAGES[:, [0, 0, 2, 2], [0, 2, 0, 2], 0].mean(axis=1) / 100
    sure = classifier(corner).with_threshold(tta=True)
    np.testing.assert_allclose(sure.predict(IMAGES)[:, 1], corners, rtol=1e-6)


def test_without_an_option_tta_is_as_the_metadata_says():
    plain, sure = classifier(corner), classifier(corner, tta=True)
    once, eight = plain.predict(IMAGES), sure.predict(IMAGES)
    assert not np.allclose(once, eight)
    np.testing.assert_array_equal(sure.with_threshold().predict(IMAGES), eight)
    np.testing.assert_array_equal(sure.with_threshold(tta=False).predict(IMAGES), once)


def test_tta_is_refused_for_images_that_are_not_square():
    with pytest.raises(UsageError, match="square images, not 3 x 4"):
        classifier(corner, size=(3, 4)).with_threshold(tta=True)
