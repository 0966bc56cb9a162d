"""Tests of malaria/pictures/heic.py: photographs of phones, whatever they are named."""

import sys

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageOps

from malaria.pictures import heic
from malaria.pictures.folders import find_images
from malaria.pictures.images import UnreadableImageError, open_image

ROWS, COLUMNS = np.mgrid[:60, :80]
RGB = np.stack([ROWS * 4, COLUMNS * 3, 255 - ROWS * 4], axis=2).astype(np.uint8)


def write(path, pixels, **options):
    with open(path, "wb") as file:
        pillow_heif.from_pillow(Image.fromarray(pixels)).save(file, quality=95, **options)


def differ(path, expected):
    return np.abs(np.asarray(open_image(path)).astype(int) - expected).mean()


@pytest.mark.parametrize("name", ["a.heic", "a.HEIF", "a.jpg", "a"])
def test_its_bytes_tell_what_it_is_and_not_its_name(tmp_path, name):
    write(tmp_path / name, RGB)
    assert differ(tmp_path / name, RGB) < 3
    assert [path.name for path in find_images(tmp_path)] == [name]


def test_transparent_parts_become_black(tmp_path):
    clear = np.where(COLUMNS < 40, 0, 255).astype(np.uint8)
    write(tmp_path / "a.heic", np.dstack([RGB, clear]))
    assert differ(tmp_path / "a.heic", np.where(clear[..., None] > 0, RGB, 0)) < 4


def test_a_photograph_is_turned_once_as_its_phone_was_held(tmp_path):
    heic.heic_formats()
    image, exif = Image.fromarray(RGB), Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.heic", "HEIF", exif=exif.tobytes(), quality=95)
    image.getexif()[0x0112] = 6
    assert differ(tmp_path / "a.heic", np.asarray(ImageOps.exif_transpose(image))) < 3


def test_without_pillow_heif_it_is_named(tmp_path, monkeypatch):
    write(tmp_path / "a.jpg", RGB)
    heic.heic_formats.cache_clear()
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(UnreadableImageError, match=r"^a HEIC image, .*: pip install pillow-heif$"):
        open_image(tmp_path / "a.jpg")
