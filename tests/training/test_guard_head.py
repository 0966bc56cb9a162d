"""The second output of a training: it passes cells it never saw and marks what is none."""

import json
from dataclasses import replace

import numpy as np
import pytest
from learning import pipeline_of, pixels_of, settings
from PIL import Image

from malaria.base.errors import UsageError, UserError
from malaria.data.dataset import LABELS
from malaria.data.drawing import draw_cell, draw_stain
from malaria.data.drawn_cells import write_cells
from malaria.data.labelled_images import LabelledImages
from malaria.inference.load_classifier import load_classifier
from malaria.model import build_model
from malaria.networks.backend import keras, tf
from malaria.networks.features import with_features
from malaria.saved.tflite import FEATURES, OUTPUT
from malaria.training.batches import Batch
from malaria.training.guard_head import copy_weights, kind_losses, kinds_of, with_kinds
from malaria.training.not_cells import PATTERNS, draw_none, draw_several
from malaria.training.other_images import SHARE, SIDE, OtherImages, add_others, make_others
from malaria.training.step import Learner
from malaria.training.trainer import train

OTHERS = OtherImages(
    np.arange(10, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 3), np.uint8),
    np.array([1] * 6 + [2] * 3 + [3], np.int32),
)


CHANGES = {"flips": True, "quarter_turns": True, "brightness": 0.2, "background": 0.3}


def draw(count, seed, side=64):
    """Cells on black, (n, side, side, 3), each of a patient of its own."""
    pictures = []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        picture, _ = draw_cell(rng, parasitized=number % 2 == 0, stain=draw_stain(rng))
        pictures.append(np.asarray(Image.fromarray(picture).resize((side, side))))
    return np.stack(pictures)


def batch_of(count, seed=(1, 2)):
    images = np.full((count, 8, 8, 3), 200, np.uint8)
    none = tf.zeros((0,), tf.int32)
    return Batch(tf.constant(images), tf.zeros((count, 1)), tf.constant(count), seed, none)


def test_behind_the_images_of_a_batch_come_a_share_of_others_of_each_kind_as_many():
    batch = batch_of(800, seed=tf.constant((3, 4)))
    shown = add_others(batch, OTHERS.tensors)
    images, kinds = shown.images.numpy(), shown.kinds.numpy()
    assert len(images) == len(kinds) == 800 * (1 + SHARE)
    assert (images[:800] == 200).all()
    assert not kinds[:800].any()
    # Of each kind its own images.
    numbers = images[800:, 0, 0, 0]
    np.testing.assert_array_equal(OTHERS.kinds[numbers], kinds[800:])
    assert set(numbers) == set(range(10))
    assert (np.bincount(kinds[800:])[1:] > 70).all()
    assert shown.labels is batch.labels


def test_the_same_seed_chooses_the_same_others_and_without_any_a_batch_stays():
    one, same, other = (
        add_others(batch_of(40, seed=tf.constant(seed)), OTHERS.tensors).images.numpy()
        for seed in ((1, 2), (1, 2), (1, 3))
    )
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    batch = batch_of(4)
    assert add_others(batch, None) is batch


@pytest.fixture(scope="module")
def labelled():
    images = draw(40, 1, side=32)
    pixels = pixels_of(images, np.arange(40) % 2)
    return LabelledImages(pixels, training=np.arange(30), validation=np.arange(30, 40))


def test_others_are_drawn_alike_for_the_same_seed_and_of_each_kind_as_many(labelled):
    one, same, other = (make_others(labelled, [], seed=seed) for seed in (1, 1, 2))
    assert one.images.shape == (240, 32, 32, 3)
    assert one.images.dtype == np.uint8
    np.testing.assert_array_equal(one.kinds, np.repeat([1, 2], 120))
    assert (one.images == same.images).all()
    assert (one.images != other.images).any()


def test_others_in_a_folder_named_after_a_kind_are_of_this_kind(labelled, tmp_path):
    for name, level in (("several", 10), ("none", 20), ("white", 30)):
        (tmp_path / name).mkdir()
        for number in range(3):
            image = Image.fromarray(np.full((9, 9, 3), level, np.uint8))
            image.save(tmp_path / name / f"{number}.png")
    others = make_others(labelled, [str(tmp_path)], seed=1)
    for kind, level in enumerate((10, 20, 30), start=1):
        is_read = (others.images == level).all(axis=(1, 2, 3))
        assert (is_read & (others.kinds == kind)).sum() == 3
        assert (others.kinds == kind).sum() == (3 if kind == 3 else 503)


def test_without_a_readable_picture_of_what_is_no_cell_there_is_no_training(labelled, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"not_cells: none of the images in .* is readable"):
        make_others(labelled, [str(tmp_path)], seed=1)


def test_the_second_output_leaves_the_network_as_it_is_and_is_not_saved_with_it():
    plain = build_model("compact", image_size=(32, 32), label_count=2)
    joined = with_kinds(plain, 3)
    images = np.random.default_rng(1).random((4, 32, 32, 3), np.float32)
    answers, kinds = joined(images, training=False)
    assert kinds.shape == (4, 3)
    again = build_model("compact", image_size=(32, 32), label_count=2)
    copy_weights(joined, again)
    both = with_features(again)(images, training=False)
    np.testing.assert_array_equal(both[OUTPUT], answers)
    # What the second output is made of.
    kernel, bias = joined.get_layer("kind").get_weights()
    np.testing.assert_allclose(both[FEATURES] @ kernel + bias, kinds, atol=1e-5)


def test_images_of_no_cell_count_in_no_loss_or_accuracy_of_the_label(labelled):
    keras.utils.set_random_seed(1)
    model = with_kinds(build_model("compact", image_size=(32, 32), label_count=2), 3)
    # Nothing is learnt.
    model.compile(optimizer=keras.optimizers.SGD(0.0))
    model.trainable = False
    images = labelled.pixels.read(np.arange(40))
    others = OtherImages(np.full((9, 32, 32, 3), 255, np.uint8), np.repeat([1, 2], (4, 5)))
    plain = pipeline_of(pixels_of(images, np.arange(40) % 2))
    right, wrong = kind_losses(tf.constant([0, 1]), tf.constant([[9.0, 0, 0], [9.0, 0, 0]]))
    assert right < 0.2 < 5 < wrong
    with_others = replace(plain, others=others)
    one, other = (Learner(model, pipeline) for pipeline in (plain, with_others))
    loss, accuracy = one.validate(plain.validate(), lambda steps: None)
    assert other.validate(with_others.validate(), lambda steps: None) == (loss, accuracy)


@pytest.mark.parametrize("draw_one", [draw_several, draw_none])
def test_what_is_drawn_is_a_picture_and_the_same_for_the_same_seed(draw_one):
    cells = draw(8, 1, side=SIDE)
    first, again = ([draw_one(cells, np.random.RandomState(n)) for n in range(80)] for _ in "ab")
    assert all((one == other).all() for one, other in zip(first, again, strict=True))
    assert all(one.shape == (SIDE, SIDE, 3) for one in first)
    assert 0 <= np.min(first) <= np.max(first) <= 1


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    write_cells(folder / "cells", 60, seed=1, patients=10)
    (folder / "purple").mkdir()
    # Purple from edge to edge.
    noise = np.random.default_rng(1).integers(-20, 21, (30, 20, 20, 3))
    for number, picture in enumerate(noise + np.array([110, 60, 160])):
        Image.fromarray(picture.astype(np.uint8)).save(folder / "purple" / f"{number}.png")
    (folder / "purple" / "broken.png").write_bytes(b"no image")
    known = {"model": "compact", "image_size": (32, 32), "epochs": 2, "steps_per_epoch": 200}
    known |= {
        "learning_rate": 4e-3,
        "guard": True,
        "not_cells": str(folder / "purple"),
        "augmentation": CHANGES,
    }
    return folder, train(settings(folder / "cells", folder, **known))


def marked(classifier, images):
    return np.mean([one.unlike is not None for one in classifier.classify(images)])


def test_drawn_cells_of_unseen_patients_are_told_apart(trained):
    assert trained[1].values["accuracy"] > 0.85
    assert load_classifier(trained[1].model).metadata.details["split"]["by"] == "patient"


def test_a_trained_model_has_a_guard_that_passes_cells_it_never_saw(trained):
    classifier = load_classifier(trained[1].model)
    assert classifier.guard.kinds == kinds_of(["a"]) == ("cell", "several", "none", "other")
    assert classifier.guard.feature_count == 256
    assert marked(classifier, draw(200, 5)) <= 0.05


def test_what_is_no_cell_is_marked_with_its_reason(trained):
    classifier, rng = load_classifier(trained[1].model), np.random.RandomState(9)
    [white] = classifier.classify(np.full((50, 50, 3), 255, np.uint8))
    assert (white.label, white.unlike) == ("unlike", "no cell")
    assert white.probability == white.probabilities[0]
    noise = np.random.default_rng(7).integers(-20, 21, (20, 40, 40, 3)) + np.array([110, 60, 160])
    reasons = [one.unlike for one in classifier.classify(noise.astype(np.uint8))]
    assert reasons.count("another kind of cell or object, no red cell") >= 18
    cells = draw(40, 6, side=SIDE)
    fields = (np.stack([draw_several(cells, rng) for _ in range(60)]) * 255).astype(np.uint8)
    assert marked(classifier, fields) >= 0.8
    pictures = [pattern(64, 3, rng) * np.ones((64, 64, 3)) for pattern in PATTERNS * 8]
    assert marked(classifier, (np.stack(pictures).clip(0, 1) * 255).astype(np.uint8)) >= 0.6


def test_both_engines_give_the_guard_the_same_features(trained):
    path, images = trained[1].model, draw(12, 8)
    one, other = (load_classifier(path, engine=engine) for engine in ("litert", "keras"))
    assert one.network.feature_count == other.network.feature_count == 256
    read = one.scale(np.stack([np.asarray(Image.fromarray(i).resize((32, 32))) for i in images]))
    np.testing.assert_allclose(one.network(read), other.network(read), atol=1e-3)


def test_a_guard_can_be_left_out_of_the_model_and_of_the_answers(trained, tmp_path):
    folder, result = trained
    white = np.full((50, 50, 3), 255, np.uint8)
    quiet = load_classifier(result.model).with_threshold(guard=False)
    assert quiet.classify(white)[0].unlike is None
    without = load_classifier(train(settings(folder / "cells", tmp_path)).model)
    assert without.guard is None
    assert without.network.feature_count == 0
    assert without.classify(white)[0].label in LABELS
    with pytest.raises(UsageError, match=r"--guard: model_.* has none"):
        without.with_threshold(guard=True)


@pytest.fixture
def changed_guard(trained, tmp_path):
    """A function that copies the trained pair with a changed guard; the path of the copy."""

    def change(**entries):
        text = json.loads(trained[1].model.with_suffix(".json").read_text())
        text["malaria"]["guard"] |= entries
        for suffix in (".h5", ".tflite"):
            (tmp_path / f"m{suffix}").write_bytes(trained[1].model.with_suffix(suffix).read_bytes())
        (tmp_path / "m.json").write_text(json.dumps(text))
        return tmp_path / "m.h5"

    return change


def test_a_damaged_guard_is_refused_when_the_model_is_loaded(changed_guard):
    with pytest.raises(UserError, match=r"m\.json: its guard is damaged"):
        load_classifier(changed_guard(weights="AAAA"))
    fewer = {"features": 255, "weights": "AAAA" * (256 * 4 * 4 // 3) + "AA=="}
    with pytest.raises(UserError, match=r"damaged: it looks at 255 features, and .* has 256"):
        load_classifier(changed_guard(**fewer))


def test_the_guard_of_an_earlier_version_is_told_and_not_used(changed_guard, capsys):
    classifier = load_classifier(changed_guard(format=1))
    assert classifier.guard is None
    assert "is of a version before 2.5 and not used" in capsys.readouterr().err
