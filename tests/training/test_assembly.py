"""Tests of malaria/training/assembly.py: images are loaded and split as a Config says."""

from pathlib import Path

import numpy as np
import pytest
from learning import settings as settings_of

from malaria.base.errors import UserError
from malaria.data.labelled_images import describe_images
from malaria.networks.backend import tf
from malaria.training import assembly, room
from malaria.training.devices import Device, set_determinism
from malaria.training.room import raise_on_full_memory


@pytest.fixture
def config(write_cells, tmp_path):
    """A function that makes a config for four patients with two cells of each label."""
    folder = write_cells(patients=(1, 2, 3, 4))
    known = {"model": "vgg", "image_size": (8, 8), "test_size": 0.25}
    return lambda **changes: settings_of(folder, tmp_path, **known | changes)


def load(settings):
    """The images of a Config, on their two sides."""
    return assembly.split(settings, assembly.load_images(settings))


def spoil(config, pattern):
    for path in sorted(Path(config.train_images).glob(pattern)):
        path.write_text("no image")


@pytest.mark.parametrize("cache", ["memory", "disk", "none"])
def test_the_pictures_are_read_and_split_into_two_sides(config, cache):
    images = load(config(cache=cache))
    assert (len(images.training), len(images.validation)) == (12, 4)
    assert images.pixels.read(images.validation).shape == (4, 8, 8, 3)
    assert [sample.label for sample in images.chosen(images.training)] == [0] * 6 + [1] * 6
    sides = (images.chosen(indices) for indices in (images.training, images.validation))
    training, validation = ({sample.patient for sample in side} for side in sides)
    assert len(training) == 3
    assert not training & validation
    np.testing.assert_array_equal(images.labels, [0] * 8 + [1] * 8)


def test_both_sides_are_described_with_what_was_left_out(config):
    spoil(config(), "Parasitized/C1*_0.png")
    settings = config(split_by="image")
    lines = describe_images(load(settings), settings.labels)
    [training, validation, left_out, path] = lines
    assert training.startswith("training: 11 images (Parasitized 5, Uninfected 6) of ")
    assert validation.startswith("validation: 4 images (Parasitized 2, Uninfected 2) of ")
    assert left_out == "left out: 1 unreadable images"
    assert path.endswith("C1P1thinF_IMG_cell_0.png: not an image of a known kind")


def test_of_many_unreadable_pictures_ten_are_named(config):
    spoil(config(), "*/C[123]*.png")
    settings = config(split_by="image").model_copy(update={"test_size": 0.5})
    lines = list(describe_images(load(settings), settings.labels))
    assert "left out: 12 unreadable images" in lines
    assert sum(line.startswith("  ") for line in lines) == 10


def test_a_label_without_a_readable_picture_is_told(config):
    spoil(config(), "Uninfected/*.png")
    with pytest.raises(UserError, match="none of the images of Uninfected is readable"):
        assembly.load_images(config())


def test_names_without_a_patient_are_told_before_anything_is_read(config, monkeypatch):
    monkeypatch.setattr(assembly, "load_pixels", None)
    with pytest.raises(UserError, match="16 of 16 file names tell no patient"):
        assembly.load_images(config(patient_pattern=r"^patient(\d+)"))


@pytest.mark.parametrize(("wanted", "expected"), [(None, 3), (60, 60)])
def test_an_epoch_is_one_pass_unless_its_steps_are_set(config, wanted, expected):
    settings = config(batch_size=5, steps_per_epoch=wanted)
    assert assembly.steps_in_epoch(settings, load(settings)) == expected


def test_a_list_that_leaves_a_label_without_training_images_is_refused(config, tmp_path):
    settings = config(exclude=str(tmp_path / "mine.csv"))
    listed = (tmp_path / "cells" / "Parasitized").iterdir()
    (tmp_path / "mine.csv").write_text("\n".join(["path", *map(str, listed)]))
    images = assembly.load_images(settings)
    with pytest.raises(UserError, match="no training images of a label are left after"):
        assembly.split(settings, images)


def test_an_excluded_image_is_read_and_may_be_validated_on_but_not_trained_on(config, tmp_path):
    (tmp_path / "mine.csv").write_text("path\nParasitized/C1P1thinF_IMG_cell_0.png\n")
    images = load(config(exclude=str(tmp_path / "mine.csv")))
    assert len(images.samples) == 16
    [excluded] = images.excluded
    assert images.samples[excluded].path.name == "C1P1thinF_IMG_cell_0.png"
    assert excluded not in images.training
    used = 16 if excluded in images.validation else 15
    assert len(images.training) + len(images.validation) == used


def test_a_step_that_no_memory_holds_is_told_before_it_is_tried(config):
    device = Device(tf.distribute.get_strategy(), "CPU", False, "float32")
    images = load(config())
    large = config(model="vgg", image_size=(4096, 4096), batch_size=4096)
    with pytest.raises(
        UserError, match=r"^a step of 4096 images of \[4096, 4096\] takes at least "
    ):
        assembly.build(large, device, images)


def test_a_step_that_may_fit_is_not_refused(monkeypatch):
    # Measured: xresnet34 took 1.0 GB for 32 images of 160 x 160 pixels.
    monkeypatch.setattr(room, "usable_memory", lambda: 1_000_000_000)
    room.check_memory("xresnet34", (160, 160), 2, 32, "float32")
    with pytest.raises(UserError, match="takes at least 1 GB of the 1 GB of memory"):
        room.check_memory("xresnet34", (160, 160), 2, 60, "float32")
    room.check_memory("xresnet34", (160, 160), 2, 60, "mixed_bfloat16")


def test_looking_at_the_memory_changes_no_weight(config):
    images, found = load(config()), []
    for skips in (True, False):
        set_determinism(7, deterministic=False)
        device = Device(tf.distribute.get_strategy(), "CPU", has_gpu=skips, precision="float32")
        found.append(assembly.build(config(model="tiny"), device, images).get_weights())
    assert all(np.array_equal(*pair) for pair in zip(*found, strict=True))


def test_a_device_without_room_is_told_in_one_line():
    told = "the memory of the device is full: set a smaller batch_size or image_size"
    with pytest.raises(UserError, match=told), raise_on_full_memory():
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")


def test_of_each_label_as_many_are_read_as_the_config_says(config):
    images = assembly.load_images(config(train_size=3))
    np.testing.assert_array_equal(images.labels, [0, 0, 0, 1, 1, 1])


def test_tables_train_and_validate_as_folders_do(config, tmp_path):
    folder = Path(config().train_images)
    for name, patients in (("train.csv", "[123]"), ("judge.csv", "4")):
        rows = [
            f"{path.relative_to(tmp_path)};{path.parent.name};Q{path.name[1]}"
            for path in sorted(folder.glob(f"*/C{patients}*.png"))
        ]
        text = "\r\n".join(["Path;Class;Patient", *rows, "x.png;Unsure;", *rows[:1]])
        (tmp_path / name).write_text(text, encoding="utf-16")
    (tmp_path / "out.csv").write_text("path\ncells/Parasitized/C1P1thinF_IMG_cell_0.png\n")
    known = {"train_images": str(tmp_path / "train.csv"), "exclude": str(tmp_path / "out.csv")}
    settings = config(validation_images=str(tmp_path / "judge.csv"), **known)
    images = load(settings)
    assert (len(images.training), len(images.validation)) == (11, 4)
    assert {one.patient for one in images.chosen(images.validation)} == {"Q4"}
    lines = [*describe_images(images, settings.labels)]
    assert "passed over: Unsure, 2 images: not among the labels" in lines
    assert "named again, and counted once: 2 images" in lines
    assert f"excluded: 1 of 1 files named in {tmp_path / 'out.csv'}" in lines


def test_a_patient_of_two_tables_is_not_on_both_sides(config, tmp_path):
    paths = sorted(Path(config().train_images).glob("*/*.png"))
    for name, some in (("train.csv", paths[::2]), ("judge.csv", paths[1::2])):
        rows = [f"{path},{path.parent.name}" for path in some]
        (tmp_path / name).write_text("\n".join(["path,label", *rows]))
    known = {"train_images": str(tmp_path / "train.csv")}
    with pytest.raises(UserError, match="4 patients are in train_images too, such as 1"):
        load(config(validation_images=str(tmp_path / "judge.csv"), **known))


def test_a_file_that_a_table_has_under_two_labels_is_refused_or_excluded(config, tmp_path):
    paths = sorted(Path(config().train_images).glob("*/*.png"))
    rows = [f"{path},{path.parent.name}" for path in paths] + [f"{paths[0]},Uninfected"]
    (tmp_path / "t.csv").write_text("\n".join(["path,label", *rows]))
    known = {"train_images": str(tmp_path / "t.csv")}
    with pytest.raises(UserError, match="2 files hold images that lie under two labels"):
        load(config(**known))
    assert len(load(config(contradictions="exclude", **known)).samples) == 15
