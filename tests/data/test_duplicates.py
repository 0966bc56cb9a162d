"""Tests of malaria/data/duplicates.py, and of what a training does with copies."""

import shutil

import pytest
from PIL import Image

from malaria.base.errors import UserError
from malaria.data.dataset import LABELS
from malaria.data.labelled_images import describe_images
from malaria.pictures.images import PixelFormat, read_image
from malaria.settings.config import Config
from malaria.training.assembly import load_images, split


@pytest.fixture
def cells(write_cells):
    return write_cells(patients=(1, 2, 3, 4))


def copy(cells, name, to):
    shutil.copy(cells / name, cells / to)


def save_as(cells, name, to):
    """The same pixels in another kind of file."""
    Image.open(cells / name).save(cells / to)


def settings(cells, **changes):
    return Config(train_images=str(cells), image_size=(16, 16), test_size=0.25, **changes)


SIZE = PixelFormat((9, 7))
FIRST = "Parasitized/C1P1thinF_IMG_cell_0.png"


def test_an_image_under_two_labels_is_refused_whatever_its_file_is(cells):
    save_as(cells, FIRST, "Uninfected/C9_copy.bmp")
    with pytest.raises(UserError) as caught:
        load_images(settings(cells))
    first, *lines = str(caught.value).splitlines()
    assert first.startswith("2 files hold images that lie under two labels: remove the wrong")
    named = (f"Parasitized: {cells / FIRST}", f"Uninfected: {cells}/Uninfected/C9_copy.bmp")
    assert lines == [f"  {line}" for line in named]


def test_a_training_refuses_contradictions_unless_it_is_told_to_exclude_them(cells, capsys):
    save_as(cells, FIRST, "Uninfected/C2_copy.bmp")
    with pytest.raises(UserError, match="contradictions: exclude"):
        load_images(settings(cells))
    images = load_images(settings(cells, contradictions="exclude"))
    assert len(images.samples) == 16 - 1
    assert "left out: 2 images with the same pixels under two labels" in capsys.readouterr().err


@pytest.mark.parametrize("split_by", ["patient", "image"])
def test_no_image_is_on_both_sides_whatever_it_is_called(cells, split_by):
    for number, ending in ((2, "png"), (3, "bmp"), (4, "tif")):
        save_as(cells, FIRST, f"Parasitized/C{number}P1thinF_copy.{ending}")
    for seed in range(6):
        known = settings(cells, split_by=split_by, random_state=seed)
        images = split(known, load_images(known))
        training, validation = (
            {read_image(sample.path, SIZE).tobytes() for sample in images.chosen(side)}
            for side in (images.training, images.validation)
        )
        assert not training & validation
        assert len(images.training) + len(images.validation) + images.copies_left_out == 19


def test_copies_and_what_was_passed_over_are_told(cells):
    copy(cells, FIRST, "Parasitized/C1_copy.png")
    (cells / "Parasitized" / "._C1_cell_1.png").write_bytes(b"of macOS")
    (cells / "Uninfected" / ".ipynb_checkpoints").mkdir()
    (cells / "Uninfected" / "notes.txt").write_text("no image")
    images = split(settings(cells), load_images(settings(cells)))
    lines = list(describe_images(images, LABELS))
    assert "duplicates: 1 images are copies of others, by their pixels" in lines
    assert "passed over, not images: 2 hidden, 1 .txt" in lines
