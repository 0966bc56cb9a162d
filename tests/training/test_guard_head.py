"""Fitting a guard: it passes cells it never saw and marks what is none."""

import json

import numpy as np
import pytest
from learning import settings
from malaria.training.fit_guard import SIDE, fit_guard, fit_guard_of, make_small
from PIL import Image

from malaria.base.errors import UsageError, UserError
from malaria.data.dataset import LABELS
from malaria.data.drawing import draw_cell, draw_stain
from malaria.data.drawn_cells import write_cells
from malaria.inference.load_classifier import load_classifier
from malaria.training import assembly
from malaria.training.not_cells import PATTERNS, draw_none, draw_several
from malaria.training.trainer import train


def draw(count, seed):
    """Cells on black, (n, 64, 64, 3), each of a patient of its own."""
    pictures = []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        picture, _ = draw_cell(rng, parasitized=number % 2 == 0, stain=draw_stain(rng))
        pictures.append(np.asarray(Image.fromarray(picture).resize((64, 64))))
    return np.stack(pictures)


@pytest.fixture(scope="module")
def guard():
    return fit_guard(make_small(draw(120, 1)), make_small(draw(60, 2)), seed=3)


def marked(guard, images):
    return np.mean([reason is not None for reason in guard.reasons(images)])


def test_cells_that_it_never_saw_pass(guard):
    assert marked(guard, draw(200, 5)) <= 0.02


@pytest.mark.parametrize("side", [32, 64])
def test_plain_pictures_noise_and_pictures_of_other_things_are_marked(guard, side):
    rng = np.random.RandomState(9)
    plain = np.stack([np.full((side, side, 3), level, np.uint8) for level in (0, 90, 180, 255)])
    noise = rng.randint(0, 256, (20, side, side, 3)).astype(np.uint8)
    assert marked(guard, plain) == marked(guard, noise) == 1
    for pattern in PATTERNS:
        pictures = [pattern(side, 3, rng) * np.ones((side, side, 3)) for _ in range(20)]
        assert marked(guard, (np.stack(pictures).clip(0, 1) * 255).astype(np.uint8)) >= 0.8


def test_fields_are_marked_as_several_cells(guard):
    cells, rng = make_small(draw(40, 6)), np.random.RandomState(4)
    fields = np.stack([draw_several(cells, rng) for _ in range(60)])
    reasons = guard.reasons((fields * 255).astype(np.uint8))
    assert np.mean([reason is not None for reason in reasons]) >= 0.9
    assert reasons.count("several cells or a whole field") >= 40


def test_the_same_arguments_give_the_same_guard():
    cells = make_small(draw(20, 1))
    one, other = (fit_guard(cells, cells, seed=1) for _ in range(2))
    assert one.to_entries() == other.to_entries()
    assert fit_guard(cells, cells, seed=2).to_entries() != one.to_entries()


def test_what_white_cells_look_like_is_learnt_from_pictures_of_them():
    cells = draw(100, 1)
    # Purple from edge to edge.
    noise = np.random.default_rng(1).integers(-20, 21, (60, 64, 64, 3))
    others = (noise + np.array([110, 60, 160])).astype(np.uint8)
    guard = fit_guard(make_small(cells), make_small(draw(50, 2)), make_small(others[:30]), seed=1)
    assert guard.reasons(others[30:]) == ["another kind of cell or object, no red cell"] * 30


@pytest.mark.parametrize("draw_one", [draw_several, draw_none])
def test_what_is_drawn_is_a_picture_and_the_same_for_the_same_seed(draw_one):
    cells = make_small(draw(8, 1))
    first, again = ([draw_one(cells, np.random.RandomState(n)) for n in range(80)] for _ in "ab")
    assert all((one == other).all() for one, other in zip(first, again, strict=True))
    assert all(one.shape == (SIDE, SIDE, 3) for one in first)
    assert 0 <= np.min(first) <= np.max(first) <= 1


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    write_cells(folder / "cells", 60, seed=1, patients=10)
    (folder / "white").mkdir()
    for number, picture in enumerate(np.random.default_rng(1).integers(0, 99, (9, 20, 20, 3))):
        Image.fromarray(picture.astype(np.uint8)).save(folder / "white" / f"{number}.png")
    (folder / "white" / "broken.png").write_bytes(b"no image")
    known = {"image_size": (32, 32), "guard": True, "not_cells": str(folder / "white")}
    return folder, train(settings(folder / "cells", folder, **known))


def test_any_trained_model_gets_its_own_guard(trained):
    folder, result = trained
    classifier = load_classifier(result.model)
    assert classifier.guard.kinds == ("cell", "several", "none", "other")
    cells = sorted((folder / "cells" / LABELS[0]).iterdir())
    predictions = classifier.classify(cells)
    assert np.mean([one.unlike is None for one in predictions]) > 0.9
    [white] = classifier.classify(np.full((50, 50, 3), 255, np.uint8))
    assert (white.label, white.unlike) == ("unlike", "no cell")
    assert white.probability == white.probabilities[0]


def test_a_guard_can_be_left_out_of_the_model_and_of_the_answers(trained, tmp_path):
    folder, result = trained
    white = np.full((50, 50, 3), 255, np.uint8)
    quiet = load_classifier(result.model).with_threshold(guard=False)
    assert quiet.classify(white)[0].unlike is None
    without = load_classifier(train(settings(folder / "cells", tmp_path)).model)
    assert without.guard is None
    assert without.classify(white)[0].label in LABELS
    with pytest.raises(UsageError, match=r"--guard: model_.* has none"):
        without.with_threshold(guard=True)


def test_a_damaged_guard_is_refused_when_the_model_is_loaded(trained, tmp_path):
    _, result = trained
    text = json.loads(result.model.with_suffix(".json").read_text())
    text["malaria"]["guard"]["hidden"] = "AAAA"
    for suffix in (".h5", ".tflite"):
        (tmp_path / f"m{suffix}").write_bytes(result.model.with_suffix(suffix).read_bytes())
    (tmp_path / "m.json").write_text(json.dumps(text))
    with pytest.raises(UserError, match=r"m\.json: its guard is damaged"):
        load_classifier(tmp_path / "m.h5")


def test_without_a_readable_picture_of_what_is_no_cell_nothing_is_fitted(trained, tmp_path):
    folder, _ = trained
    (tmp_path / "broken.png").write_bytes(b"no image")
    config = settings(folder / "cells", tmp_path)
    images = assembly.split(config, assembly.load_images(config))
    with pytest.raises(UserError, match=r"not_cells: none of the images in .* is readable"):
        fit_guard_of(images, [str(tmp_path)], seed=1)
