"""What `--check` tells of a training without doing it."""

import re
import shutil

import pytest
from learning import settings
from PIL import Image

from malaria.base.errors import UserError
from malaria.training import assembly
from malaria.training.dry_run import dry_run
from malaria.training.trainer import train


@pytest.fixture
def own_cells(cells, tmp_path):
    """A copy of the cells to change."""
    return shutil.copytree(cells, tmp_path / "cells")


def test_a_check_tells_everything_and_trains_nothing(own_cells, tmp_path):
    (own_cells / "Parasitized" / "C9_broken.png").write_bytes(b"no image")
    (own_cells / "Parasitized" / "Thumbs.db").write_bytes(b"not for us")
    original = min((own_cells / "Uninfected").iterdir())
    Image.open(original).save(own_cells / "Uninfected" / f"{original.stem}_again.jpg")
    text = "\n".join(dry_run(settings(own_cells, tmp_path, epochs=3, image_size=(32, 32))))
    assert "look-alikes: 1 pairs of images look alike" in text
    assert "training: 17 images (Parasitized 8, Uninfected 9) of 4 patients" in text
    assert "validation: 8 images (Parasitized 4, Uninfected 4) of 2 patients" in text
    assert "C9_broken.png: not an image of a known kind" in text
    assert "network: tiny, 67 parameters, 32 x 32 pixels" in text
    assert "epochs: 3 of 3 steps of 8 images" in text
    # Of a process with TensorFlow in it.
    assert 0.2 < float(re.search(r"memory: (\d+\.\d) GB, measured", text)[1]) < 50
    assert re.search(r"estimated time: \d+\.\d (minutes|hours)", text)
    assert not (tmp_path / "models").exists()


def test_a_check_of_folds_tells_the_time_of_all_of_larger_batches_where_a_device_holds_the_pixels(
    cells, tmp_path, monkeypatch
):
    monkeypatch.setattr(assembly, "_fits", lambda device, images: True)
    lines = list(dry_run(settings(cells, tmp_path, epochs=200), folds=4))
    *_, one, all_of_them = lines
    assert one.startswith("estimated time: ")
    assert all_of_them.startswith("of 4 folds: about")
    # Rounded to a tenth of a minute each.
    minutes = [float(line.split()[-2]) for line in (one, all_of_them)]
    assert abs(minutes[1] - 4 * minutes[0]) <= 0.25
    assert "training: 16 images" in "".join(lines)


def test_a_check_tells_everything_before_it_refuses_pictures_under_two_labels(own_cells, tmp_path):
    picture = next((own_cells / "Uninfected").glob("C1*"))
    shutil.copy(picture, own_cells / "Parasitized")
    config = settings(own_cells, tmp_path)
    lines = []
    with pytest.raises(UserError, match="2 files hold images that lie under two labels") as e:
        lines.extend(dry_run(config))  # keeps what came before the refusal
    assert str(picture) in str(e.value)
    assert lines[-1].startswith("estimated time: ")
    with pytest.raises(UserError, match="2 files hold images that lie under two labels"):
        train(config)
