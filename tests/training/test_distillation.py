"""Label mixing: what is learnt from the answers of other models, and which may teach."""

import numpy as np
import pytest
from learning import details_of, rows_of, settings

from malaria.base.errors import UsageError, UserError
from malaria.data.dataset import LABELS
from malaria.inference.load_classifier import load_classifier
from malaria.model import build_model
from malaria.networks.backend import tf
from malaria.networks.load_model import silence
from malaria.pictures.images import PixelFormat
from malaria.settings.config_check import make_config
from malaria.training.distillation import load_teachers
from malaria.training.losses import is_correct, make_losses
from malaria.training.trainer import train

SIZE = (24, 24)


@pytest.fixture(scope="module")
def teachers(cells, tmp_path_factory):
    """Two models of other seeds."""
    folder = tmp_path_factory.mktemp("teachers")
    configs = (settings(cells, folder, image_size=SIZE, random_state=seed) for seed in (1, 2))
    return [str(train(config).model) for config in configs]


def test_mixed_labels_are_a_mixture_of_the_label_and_the_mean_answer(teachers):
    teach = load_teachers(teachers, LABELS, PixelFormat(SIZE), share=0.6)
    images = np.random.default_rng(1).integers(0, 256, (6, 24, 24, 3)).astype(np.uint8)
    known = np.float32([[0], [1], [0], [1], [1], [0]])
    learnt = np.asarray(teach(images / np.float32(255), known))
    answers = [load_classifier(path).predict(images)[:, 1:] for path in teachers]
    expected = 0.4 * known + 0.6 * np.mean(answers, axis=0)
    np.testing.assert_allclose(learnt, expected, atol=1e-3)


def test_a_training_with_teachers_ends_elsewhere_and_keeps_their_names(cells, teachers, tmp_path):
    taught, alone = (
        train(settings(cells, tmp_path, image_size=SIZE, teachers=paths))
        for paths in (teachers, None)
    )
    assert (taught.probabilities != alone.probabilities).any()
    [row] = rows_of(taught.model.with_suffix("") / "history.csv")
    assert float(row["accuracy"]) > 0.2
    record = details_of(taught.model)["config"]
    assert (record["teachers"], record["teacher_share"]) == (teachers, 0.7)


def test_a_teacher_of_another_size_sees_the_images_at_its_own(teachers):
    teach = load_teachers(teachers[:1], LABELS, PixelFormat((48, 48)), share=1.0)
    # So smooth that however it is made smaller, the image stays the same.
    ramp = np.linspace(0.2, 0.8, 24, dtype=np.float32)
    small = np.stack([ramp[:, None] * ramp] * 3, axis=-1)[None] * [[[[1.0, 0.6, 0.8]]]]
    images = small.repeat(2, axis=1).repeat(2, axis=2).astype(np.float32)
    learnt = np.asarray(teach(images, np.zeros((1, 1), np.float32)))
    expected = load_classifier(teachers[0]).predict((small * 255).round().astype(np.uint8))[:, 1:]
    np.testing.assert_allclose(learnt, expected, atol=0.02)


@pytest.mark.parametrize(
    ("labels", "pixels", "message"),
    [
        (
            ("Parasitized", "b"),
            PixelFormat(SIZE),
            r"expected labels \['Parasitized', 'b'\], received",
        ),
        (LABELS, PixelFormat(SIZE, fit="pad"), "expected pixels .*pad.*, received .*stretch"),
    ],
)
def test_a_teacher_of_other_labels_or_pixels_is_refused(teachers, labels, pixels, message):
    with pytest.raises(UserError, match=message):
        load_teachers(teachers[:1], labels, pixels, share=0.5)


def test_the_answers_of_a_teacher_with_labels_in_another_order_are_put_in_this_order(teachers):
    images = np.random.default_rng(1).random((6, 24, 24, 3), np.float32)
    known = np.float32([[0], [1], [0], [1], [1], [0]])
    same, other = (
        load_teachers(teachers[:1], labels, PixelFormat(SIZE), share=1.0)
        for labels in (LABELS, LABELS[::-1])
    )
    np.testing.assert_allclose(same(images, known), 1 - other(images, known), atol=1e-6)


def test_a_teacher_that_does_not_say_its_labels_is_refused(tmp_path):
    with silence():
        build_model("tiny", image_size=SIZE, label_count=2).save(tmp_path / "foreign.keras")
    with pytest.raises(UserError, match="does not say which labels and pixels it learnt: say it"):
        load_teachers([str(tmp_path / "foreign.keras")], LABELS, PixelFormat(SIZE), share=0.5)


def test_a_softmax_of_two_labels_learns_the_soft_labels_of_teachers():
    labels, outputs = tf.constant([[0.9], [0.2]]), tf.constant([[0.3, 0.7], [0.4, 0.6]])
    losses = make_losses(2, label_smoothing=0.0)(labels, outputs)
    sigmoid = make_losses(1, label_smoothing=0.0)(labels, outputs[:, 1:])
    np.testing.assert_allclose(losses, sigmoid, atol=1e-5)
    np.testing.assert_array_equal(is_correct(labels, outputs), [True, False])


def test_teachers_are_for_two_labels(cells):
    known = {"train_images": str(cells), "teachers": "a.h5", "model": "compact"}
    with pytest.raises(UsageError, match="teachers: are for two labels; received 3"):
        make_config({**known, "labels": ["a", "b", "c"]})
