"""Tests of malaria/pictures/memory.py: large images wait for each other, or are refused."""

import tracemalloc
from concurrent.futures import ThreadPoolExecutor, TimeoutError
from threading import Event

import numpy as np
import pytest
import tifffile
from PIL import Image

from malaria.pictures import memory
from malaria.pictures.images import PixelFormat, open_image, read_image
from malaria.pictures.limits import UnreadableImageError
from malaria.pictures.memory import MAX_BYTES, Claim


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


def test_an_image_in_parts_has_the_pixels_of_the_whole():
    pixels = np.random.default_rng(0).integers(0, 256, (300, 5, 4), dtype=np.uint8)
    ground = Image.new("RGBA", (5, 300), (0, 0, 0, 255))
    expected = Image.alpha_composite(ground, Image.fromarray(pixels)).convert("RGB")
    found = read_image(pixels, PixelFormat((300, 5)))
    np.testing.assert_array_equal(found, np.asarray(expected))
