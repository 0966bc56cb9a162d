"""Tests of malaria/evaluation/calibration.py: what is fitted, and that its metrics are honest."""

from dataclasses import replace

import numpy as np
import pytest
from plain_network import PlainNetwork

from malaria.base.errors import UserError
from malaria.evaluation.calibration import LEAST, calibrate, describe_calibration
from malaria.evaluation.decisions import apply_temperature, fit_temperature
from malaria.evaluation.known_accuracy import known_accuracy
from malaria.evaluation.result import Result
from malaria.evaluation.verified import Sampling
from malaria.inference.classifier import Classifier
from malaria.pictures.images import PixelFormat
from malaria.saved.metadata import Metadata

LABELS = ("Parasitized", "Uninfected")


def answers(count=400, seed=0, temperature=2.5, shift=0.0, groups=None, labels=None):
    """A Result whose logits are `temperature` times too large, and off by `shift`."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=count) * 2
    true = 1 / (1 + np.exp(-logits))
    labels = (random.random(count) >= true).astype(int) if labels is None else labels
    claimed = 1 / (1 + np.exp(-(temperature * logits + shift)))
    probabilities = np.stack([claimed, 1 - claimed], axis=1).astype(np.float32)
    paths = [f"{number}.png" for number in range(count)]
    return Result(paths, labels, probabilities, LABELS, "Parasitized", 0.5, groups, resamples=50)


def test_the_temperature_that_made_the_answers_too_sure_is_found():
    result = answers(count=5000)
    assert fit_temperature(result.labels, result.probabilities) == pytest.approx(2.5, rel=0.1)


def test_a_temperature_keeps_the_order_the_sums_and_one_half():
    probabilities = answers(count=50).probabilities
    for temperature in (0.5, 3):
        scaled = apply_temperature(probabilities, temperature)
        np.testing.assert_allclose(scaled.sum(axis=1), 1, rtol=1e-6)
        assert (np.diff(scaled[np.argsort(probabilities[:, 0]), 0]) >= 0).all()
        assert ((scaled[:, 0] >= 0.5) == (probabilities[:, 0] >= 0.5)).all()
    assert (np.abs(scaled - 0.5) <= np.abs(probabilities - 0.5)).all()
    assert apply_temperature(probabilities, 1.0) is probabilities


def test_of_three_labels_each_row_still_adds_up_to_one():
    scaled = apply_temperature(np.array([[0.7, 0.2, 0.1], [0, 0, 1.0]], np.float32), 2.0)
    np.testing.assert_allclose(scaled.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(scaled[0, 0] / scaled[0, 2], np.sqrt(7), rtol=1e-5)


def test_a_threshold_that_leans_to_one_label_is_set_right():
    fitted = calibrate(answers(count=2000, temperature=1.0, shift=-3.0), "youden")
    assert fitted.before["sensitivity"].value < 0.5
    assert fitted.after["accuracy"].value > fitted.before["accuracy"].value + 0.1
    assert fitted.threshold < 0.4


def test_the_figures_after_are_of_images_that_nothing_was_fitted_to():
    # Labels that have little to do with the answers: whoever fits to them finds more.
    random = np.random.default_rng(4)
    noise = np.random.default_rng(9).integers(0, 2, 120)
    labels = np.where(random.random(120) < 0.35, answers(count=120).labels, noise)
    result = answers(count=120, labels=labels)
    fitted = calibrate(result, "youden")
    scaled = apply_temperature(result.probabilities, fitted.temperature)
    called = np.where(scaled[:, 0] >= fitted.threshold, 0, 1)
    assert (called == result.labels).mean() > fitted.after["accuracy"].value + 0.02


def test_no_patient_is_fitted_to_and_judged():
    groups = [str(number % 8) for number in range(400)]
    assert calibrate(answers(groups=groups), "youden").by == "patients"
    assert calibrate(answers(groups=["1", "2"] * 200), "youden").by == "images"
    assert calibrate(answers(), 0.3).threshold == 0.3


def test_too_few_cells_are_refused():
    with pytest.raises(UserError, match="at least 50 labelled cells; received 49: label more"):
        calibrate(answers(count=LEAST - 1), "youden")
    with pytest.raises(UserError, match="at least 10 cells of Parasitized; received 5"):
        calibrate(answers(count=200, labels=np.array([0] * 5 + [1] * 195)), "youden")


def test_swapped_labels_are_refused_with_the_other_order():
    labels = 1 - answers().labels
    with pytest.raises(UserError, match=r"labels look swapped: AUC 0\.1.*=Uninfected,Parasitized"):
        calibrate(answers(labels=labels), "youden")


def test_two_swapped_labels_of_three_are_named():
    labels = np.repeat([0, 1, 2], 50)
    probabilities = np.eye(3)[[0, 2, 1]][labels] * 0.7 + 0.1
    paths = [str(number) for number in range(150)]
    result = Result(paths, labels, probabilities, ("a", "b", "c"), "a", 0.5, resamples=50)
    with pytest.raises(UserError, match="--labels=a,c,b"):
        calibrate(result, "youden")


def test_answers_without_a_signal_are_refused():
    labels = np.random.default_rng(5).integers(0, 2, 400)
    with pytest.raises(UserError, match=r"does not tell the labels apart: AUC 0\.\d+ \["):
        calibrate(answers(labels=labels), "youden")


def test_labels_told_apart_without_a_mistake_leave_room_for_one():
    labels = np.repeat([0, 1], 100)
    probabilities = np.stack([0.7 - 0.4 * labels, 0.3 + 0.4 * labels], axis=1).astype(np.float32)
    temperature = fit_temperature(labels, probabilities)
    # Of a hundred without a mistake, 101 in 102.
    true = apply_temperature(probabilities, temperature)[:, 0][labels == 0]
    np.testing.assert_allclose(true, 101 / 102, rtol=1e-3)


def test_a_temperature_at_its_end_is_told():
    fitted = replace(calibrate(answers(), "youden"), temperature=19.9)
    assert "temperature 19.9, the last that is tried" in describe_calibration(fitted)


def test_the_model_answers_at_its_temperature_and_says_what_it_was_fitted_to():
    fitted = calibrate(answers(), "sensitivity>=0.9")
    metadata = Metadata(LABELS, "Parasitized", PixelFormat((8, 8)), temperature=2.0)
    updated = fitted.update(metadata)
    assert updated.temperature == pytest.approx(2 * fitted.temperature)
    assert updated.threshold == fitted.threshold
    assert updated.details["calibration"]["images"] == 400
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3)).astype(np.uint8)

    def network(scaled):
        return scaled[:, :1, 0, 0]

    plain = Classifier(Metadata(LABELS, "Parasitized", PixelFormat((8, 8))), PlainNetwork(network))
    calibrated = Classifier(updated, PlainNetwork(network))
    expected = apply_temperature(plain.predict(images), updated.temperature)
    np.testing.assert_allclose(calibrated.predict(images), expected, rtol=1e-6)
    assert plain.identity != calibrated.identity


def test_the_model_says_what_it_gets_wrong_at_its_new_threshold_by_cross_fitted_answers():
    groups = [str(number % 8) for number in range(400)]
    fitted = calibrate(answers(groups=groups), "counting", unlike=0.25)
    metadata = fitted.update(Metadata(LABELS, "Parasitized", PixelFormat((8, 8))))
    known = known_accuracy(metadata)
    assert known.sensitivity == pytest.approx(fitted.after["sensitivity"].value)
    assert known.specificity == pytest.approx(fitted.after["specificity"].value)
    assert known.positives + known.negatives <= 400
    assert metadata.details["calibration"]["strange"] > 0.25
    other = replace(metadata, threshold=metadata.threshold / 2)
    assert "another threshold" in known_accuracy(other)


def test_the_text_has_each_metric_before_and_after():
    text = describe_calibration(calibrate(answers(), "youden"))
    assert text.startswith("400 images: threshold ")
    assert "accuracy" in text
    assert "after, by images" in text


def test_cells_that_were_drawn_by_what_they_are_called_count_as_they_stand_for_all():
    """Of 10,000 with 3 % positive ones, 60 of those called so and 60 of the others are labelled."""
    random = np.random.RandomState(3)
    is_positive = random.random_sample(10_000) < 0.03
    logits = random.normal(np.where(is_positive, 2.5, -3), 1.2)
    probabilities = 1 / (1 + np.exp(-np.stack([logits, -logits], axis=1)))
    called = probabilities[:, 0] >= 0.5
    drawn = [random.permutation(np.flatnonzero(called == one))[:60] for one in (True, False)]
    chosen = np.concatenate(drawn)
    stands_for = np.repeat([called.sum() / 60, (~called).sum() / 60], 60)
    result = Result(
        paths=[str(n) for n in chosen],
        labels=np.where(is_positive[chosen], 0, 1),
        probabilities=probabilities[chosen],
        label_names=("Parasitized", "Uninfected"),
        positive_label="Parasitized",
        threshold=0.5,
        sampling=Sampling(called[chosen].astype(int), stands_for),
    )
    # Specificity of all; of those labelled alone it would be .9 or so.
    specificity = (~called[~is_positive]).mean()
    assert result.values["specificity"] == pytest.approx(specificity, abs=0.01)
    fitted = calibrate(result, "counting")
    # Hardly a cell in a hundred is one of the positive: the record is worth what it tells of them.
    (found, missed), (alarms, spared) = fitted.record["confusion"]
    assert spared / (alarms + spared) == pytest.approx(specificity, abs=0.01)
    assert found + missed < 60
    assert fitted.record["counting"]["threshold"] > 0.5
