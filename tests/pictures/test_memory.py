"""Tests of malaria/pictures/memory.py: large images wait for each other, or are refused."""

import tracemalloc
from concurrent.futures import ThreadPoolExecutor, TimeoutError
from threading import Event

import numpy as np
import pytest
import tifffile
from PIL import Image

from malaria.pictures import memory
from malaria.pictures.images import PixelFormat, open_image, opened, read_image
from malaria.pictures.limits import UnreadableImageError
from malaria.pictures.memory import MAX_BYTES, Claim

GREY = np.random.default_rng(0).integers(0, 256, (300, 200), dtype=np.uint8)


def test_an_image_waits_until_others_have_given_back_what_it_needs():
    begun = Event()

    def take():
        begun.set()
        with Claim() as claim:
            claim.take(MAX_BYTES)

    with ThreadPoolExecutor(1) as pool, Claim() as first:
        first.take(MAX_BYTES // 2)
        second = pool.submit(take)
        begun.wait()
        with pytest.raises(TimeoutError):
            second.result(0.05)
        first.keep(0)
        second.result(10)
    assert Claim._taken == 0


def test_what_would_never_fit_is_refused_at_once():
    with Claim() as claim:
        claim.take(MAX_BYTES)
        with pytest.raises(UnreadableImageError, match="600 MB of memory, more than the 512 MB"):
            Claim().take(600_000_000)
    assert Claim._taken == 0


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_large_images_of_16_bits_are_refused_before_they_are_decoded(tmp_path, name, monkeypatch):
    monkeypatch.setattr(memory, "MAX_BYTES", 5_000_000)
    path = tmp_path / name
    levels = np.zeros((1000, 1000, 3), np.uint16)
    if name == "a.tif":
        tifffile.imwrite(path, levels, photometric="rgb", compression="zlib")
    else:
        Image.new("RGB", (1500, 1500)).convert("RGBA").save(path)
    tracemalloc.start()
    with pytest.raises(UnreadableImageError, match=r"^reading it takes "):
        open_image(path)
    assert tracemalloc.get_traced_memory()[1] < 4_000_000
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "options", "each"),
    [
        ("a.png", {}, 4),
        ("a.jpg", {}, 4),
        ("a.tif", {}, 4),
        ("a.tif", {"compression": "tiff_lzw"}, 4.05),
        ("a.jpg", {"progressive": True}, 7),  # as photographs mostly are, colours at half the size
        ("a.jpg", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0"}, 8),  # turned
    ],
)
def test_colours_take_four_bytes_a_pixel_unless_they_need_a_copy(
    tmp_path, monkeypatch, name, options, each
):
    taken = []
    monkeypatch.setattr(Claim, "take", lambda self, size: taken.append(size))
    Image.new("RGB", (1000, 2000)).save(tmp_path / name, **options)
    open_image(tmp_path / name)
    assert taken[-1] / 2e6 == pytest.approx(each, abs=0.05)


def test_a_grey_image_takes_a_quarter_and_one_of_16_bits_three(tmp_path, monkeypatch):
    taken = []
    monkeypatch.setattr(Claim, "take", lambda self, size: taken.append(size))
    for name, levels in (("a.png", GREY), ("b.png", GREY.astype(np.uint16) * 257)):
        Image.fromarray(levels).save(tmp_path / name)
        with opened(tmp_path / name) as image:
            assert image.mode == "L"
            np.testing.assert_array_equal(np.asarray(image), GREY)
    assert {*taken} == {GREY.size, 3 * GREY.size}


def test_an_image_in_parts_has_the_pixels_of_the_whole():
    pixels = np.random.default_rng(0).integers(0, 256, (300, 5, 4), dtype=np.uint8)
    ground = Image.new("RGBA", (5, 300), (0, 0, 0, 255))
    expected = Image.alpha_composite(ground, Image.fromarray(pixels)).convert("RGB")
    found = read_image(pixels, PixelFormat((300, 5)))
    np.testing.assert_array_equal(found, np.asarray(expected))
