"""Tests of malaria/pictures/depth.py and png.py: how 16-bit pictures become 8-bit ones."""

import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from malaria.pictures.depth import (
    LOOKED_AT,
    bits_among,
    bits_for,
    group_peaks,
    groups_in_folder,
    to_8_bits,
)
from malaria.pictures.images import PixelFormat, UnreadableImageError, read_image

SIZE = PixelFormat((8, 8))
GREY = np.arange(64, dtype=np.uint8).reshape(8, 8) * 3 + 50
RGB = np.stack([GREY, GREY[::-1], GREY.T], axis=2)
# Of the seven passes of an interlaced PNG: first row and column, and the steps between them.
PASSES = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2)]
PASSES.append((1, 0, 2, 1))


def write_png(path, levels, *, passes=((0, 0, 1, 1),)):
    """A PNG of 16 bits a channel: grey, with alpha, RGB or RGBA; its pixels in two chunks."""
    height, width = levels.shape[:2]
    colour = {2: 0, 3: {2: 4, 3: 2, 4: 6}.get(levels.shape[-1])}[levels.ndim]

    def chunk(name, content):
        checksum = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + checksum

    parts = [levels.astype(">u2")[top::down, left::right] for top, left, down, right in passes]
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for part in parts for row in part))
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, len(passes) > 1)
    idats = (b"IDAT", rows[:20]), (b"IDAT", rows[20:])
    chunks = (b"IHDR", header), (b"tEXt", b"Comment\0a"), *idats, (b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in chunks))


@pytest.mark.parametrize("factor", [1, 4, 16, 64, 257])
@pytest.mark.parametrize("kind", ["grey", "rgb", "rgba"])
def test_a_png_is_scaled_by_the_bits_that_are_used(tmp_path, capsys, kind, factor):
    opaque = np.full((8, 8, 1), 255, np.uint8)
    levels = {"grey": GREY, "rgb": RGB, "rgba": np.concatenate([RGB, opaque], axis=2)}[kind]
    write_png(tmp_path / "a.png", levels.astype(np.uint16) * factor)
    expected = np.stack([GREY] * 3, axis=2) if kind == "grey" else RGB
    found = read_image(tmp_path / "a.png", SIZE)
    assert (capsys.readouterr().err == "") == (factor == 257)
    if kind == "rgba" and factor != 257:
        # Its alpha is scaled with the colours, and 255 of 255 stays opaque.
        assert np.abs(found.astype(int) - expected).max() <= 1
    else:
        np.testing.assert_array_equal(found, expected)


def test_an_interlaced_png_keeps_its_lower_bits_too(tmp_path):
    write_png(tmp_path / "a.png", RGB.astype(np.uint16) * 4, passes=PASSES)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", SIZE), RGB)


def test_where_pillow_has_no_decoder_for_the_lower_bits_the_image_is_refused(tmp_path, monkeypatch):
    write_png(tmp_path / "a.png", RGB.astype(np.uint16) * 4)
    monkeypatch.setattr("malaria.pictures.png.DECODER", "unknown")
    with pytest.raises(UnreadableImageError, match=r"16 bits in colour, .* save it with 8 bits"):
        read_image(tmp_path / "a.png", SIZE)


def test_a_dark_image_stays_dark_beside_bright_ones(tmp_path, capsys):
    for number in range(3):
        write_png(tmp_path / f"bright{number}.png", RGB.astype(np.uint16) * 16)
    write_png(tmp_path / "dark.png", (RGB // 8).astype(np.uint16) * 16)
    np.testing.assert_array_equal(read_image(tmp_path / "dark.png", SIZE), RGB // 8)
    np.testing.assert_array_equal(read_image(tmp_path / "bright1.png", SIZE), RGB)
    said = capsys.readouterr().err
    expected = f"{tmp_path}: its 16-bit .png images use 12 bits, and are read as such; 1 dark, "
    assert said == expected + "or of a camera of fewer bits\n"


@pytest.mark.parametrize(
    ("groups", "peak", "bits"),
    [
        ((10,), 900, 10),
        ((10,), 60000, 16),
        ((12, 16), 900, 12),
        ((16,), 3000, 12),
        ((12, 16), 9000, 16),
        ((), 900, 10),
    ],
)
def test_an_image_is_of_the_first_group_that_holds_it_or_counts_for_itself(groups, peak, bits):
    assert bits_among(groups, peak) == bits


# The largest grey levels of images: of exposed cells, and of dark ones.
TWELVE, SIXTEEN, EIGHT, TEN = (range(3000, 4000, 50), range(50000, 62000, 600),
                               range(200, 256, 3), range(700, 1024, 17))  # fmt: skip


@pytest.mark.parametrize(
    ("peaks", "groups"),
    [
        ([*TWELVE], (12,)),
        ([*TWELVE, 900], (12,)),
        ([*TWELVE, 900, 1000, 1010], (12,)),
        ([*TWELVE, *range(600, 3000, 100)], (12,)),
        ([*TWELVE, *SIXTEEN], (12, 16)),
        ([*TWELVE, *SIXTEEN, 5000, 900], (12, 16)),
        ([1500, 1800, *SIXTEEN], (12, 16)),
        ([*TWELVE, 60000], (12, 16)),
        ([3000, *SIXTEEN], (12, 16)),
        ([*EIGHT, *TEN], (8, 10)),
        ([*EIGHT, *TEN, *SIXTEEN], (8, 10, 16)),
        ([*EIGHT, *SIXTEEN], (8, 16)),
        ([3000, 900, *SIXTEEN], (12, 16)),
        ([9000, *SIXTEEN], (16,)),
        ([], ()),
    ],
    ids=str,
)
def test_images_that_fill_fewer_bits_are_of_a_camera_of_their_own(peaks, groups):
    assert group_peaks(peaks) == groups


@pytest.mark.parametrize("ending", ["png", "tif"])
@pytest.mark.parametrize(("low", "high"), [(16, 257), (1, 4)])
def test_cameras_of_different_bits_in_one_folder_are_read_each_by_its_own(
    tmp_path, capsys, ending, low, high
):
    write = write_png if ending == "png" else tifffile.imwrite
    for number in range(3):
        for factor in (low, high):
            write(tmp_path / f"{number} {factor}.{ending}", RGB.astype(np.uint16) * factor)
    Image.fromarray(RGB).save(tmp_path / f"of 8 bits.{ending}")
    for path in tmp_path.iterdir():
        np.testing.assert_array_equal(read_image(path, SIZE), RGB)
    bits = {1: 8, 4: 10, 16: 12, 257: 16}
    assert capsys.readouterr().err == (
        f"{tmp_path}: of 6 16-bit .{ending} images 3 use {bits[low]} bits, 3 use {bits[high]} "
        "bits: each is read by its own\n"
    )


def test_of_a_large_folder_a_few_are_looked_at(tmp_path):
    for number in range(200):
        (tmp_path / f"{number:04}.tif").touch()
    looked_at = []
    groups_in_folder(tmp_path / "0001.tif", lambda path, file: looked_at.append(path) or 0)
    assert len(looked_at) == LOOKED_AT
    assert looked_at[-1].name > "0180"


def test_a_grey_png_with_transparency_keeps_its_lower_bits_too(tmp_path):
    alpha = np.where(GREY > 100, 4095, 0).astype(np.uint16)
    write_png(tmp_path / "a.png", np.dstack([GREY.astype(np.uint16) * 16, alpha]))
    expected = np.where(GREY > 100, GREY, 0)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", SIZE)[..., 0], expected)


@pytest.mark.parametrize("opaque", [4095, 65535])
def test_transparency_has_a_range_of_its_own(tmp_path, opaque):
    clear = np.where(GREY > 100, opaque, 0).astype(np.uint16)
    write_png(tmp_path / "a.png", np.dstack([RGB.astype(np.uint16) * 16, clear]))
    expected = np.where(clear[..., None] > 0, RGB, 0)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", SIZE), expected)


@pytest.mark.parametrize(
    ("peak", "bits"),
    [(0, 8), (255, 8), (256, 10), (1023, 10), (1024, 12), (4095, 12), (4096, 14), (65535, 16)],
)
def test_the_fewest_bits_of_a_camera_that_hold_the_peak_are_taken(peak, bits):
    assert bits_for(peak) == bits


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_the_whole_range_becomes_the_whole_range(bits):
    levels = np.array([0, 2 ** (bits - 1), 2**bits - 1], np.uint16)
    assert to_8_bits(levels, bits).tolist() == [0, 128, 255]


def test_a_pil_image_of_16_bits_counts_by_its_own_peak():
    image = Image.fromarray(GREY.astype(np.uint16) * 16)
    np.testing.assert_array_equal(read_image(image, SIZE), np.stack([GREY] * 3, axis=2))
