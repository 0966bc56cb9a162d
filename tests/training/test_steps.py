"""Tests of malaria/prepare.py."""

import numpy as np
import pytest

from malaria.base.errors import UserError
from malaria.data import loading as prepare
from malaria.training.config import Config


@pytest.fixture
def config(write_cells, tmp_path):
    """A function that makes a config for four patients with two cells of each label."""
    folder = write_cells(patients=(1, 2, 3, 4))

    def make(**settings):
        known = {"train_images": f"{folder}/", "output_models": f"{tmp_path}/models/"}
        return Config(**known, image_size=(8, 8), test_size=0.25, **settings)

    return make


def spoil(config, pattern):
    for path in sorted(prepare.Path(config.train_images).glob(pattern)):
        path.write_text("no picture")


@pytest.mark.parametrize("cache", ["memory", "disk", "none"])
def test_the_pictures_are_read_and_split_into_two_sides(config, cache):
    data = prepare.load_data(config(cache=cache))
    assert (len(data.training), len(data.validation)) == (12, 4)
    assert data.pixels.read(data.validation).shape == (4, 8, 8, 3)
    assert [sample.label for sample in data.samples(data.training)] == [0] * 6 + [1] * 6
    sides = [
        {sample.patient for sample in data.samples(indices)}
        for indices in (data.training, data.validation)
    ]
    assert len(sides[0]) == 3
    assert not sides[0] & sides[1]
    np.testing.assert_array_equal(data.labels, [0] * 8 + [1] * 8)


def test_both_sides_are_described_with_what_was_left_out(config):
    spoil(config(), "Parasitized/C1*_0.png")
    settings = config(split_by="image")
    data = prepare.load_data(settings)
    [training, validation, left_out, path] = prepare.describe_data(settings, data)
    assert training.startswith("training: 11 images (Parasitized 5, Uninfected 6) of ")
    assert validation.startswith("validation: 4 images (Parasitized 2, Uninfected 2) of ")
    assert left_out == "left out: 1 unreadable images"
    assert path.endswith("C1P1thinF_IMG_cell_0.png: not a picture of a known kind")


def test_of_many_unreadable_pictures_ten_are_named(config):
    spoil(config(), "*/C[123]*.png")
    settings = config(split_by="image").model_copy(update={"test_size": 0.5})
    lines = list(prepare.describe_data(settings, prepare.load_data(settings)))
    assert "left out: 12 unreadable images" in lines
    assert sum(line.startswith("  ") for line in lines) == 10


def test_a_label_without_a_readable_picture_is_told(config):
    spoil(config(), "Uninfected/*.png")
    with pytest.raises(UserError, match="none of the images of Uninfected is readable"):
        prepare.load_data(config())


def test_names_without_a_patient_are_told_before_anything_is_read(config, monkeypatch):
    monkeypatch.setattr(prepare, "load_pixels", None)
    with pytest.raises(UserError, match="16 of 16 file names tell no patient"):
        prepare.load_data(config(patient_pattern=r"^patient(\d+)"))


@pytest.mark.parametrize(("steps", "expected"), [(None, 3), (60, 60)])
def test_an_epoch_is_one_pass_unless_its_steps_are_set(config, steps, expected):
    settings = config(batch_size=5, steps_per_epoch=steps)
    assert prepare.steps_in_epoch(settings, prepare.load_data(settings)) == expected
