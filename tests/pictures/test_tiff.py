"""Tests of malaria/pictures/tiff.py: what microscopes write is read as the same cells."""

import contextlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from malaria.pictures.images import PixelFormat, UnreadableImageError, read_image

HEIGHT, WIDTH = 24, 20
CELL = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
CELL[4:20, 4:16] = np.random.default_rng(3).integers(60, 230, (16, 12, 3))
PLANES = CELL.transpose(2, 0, 1)
SAME_SIZE = PixelFormat((HEIGHT, WIDTH))


def deep(levels, factor):
    return levels.astype(np.uint16) * factor


CYX, TWELVE = {"axes": "CYX"}, {"SignificantBits": 12}
# What tifffile.imwrite takes, by name.
WRITERS = {
    **{f"colour, times {factor}": (deep(CELL, factor), {}) for factor in (1, 4, 16, 64, 257)},
    "planes": (PLANES, {"photometric": "rgb", "planarconfig": "separate"}),
    "pages": (PLANES, {"photometric": "minisblack"}),
    "planes of 12 bits": (deep(PLANES, 16), {"photometric": "minisblack", "metadata": CYX}),
    "OME-TIFF": (PLANES, {"ome": True, "metadata": CYX}),
    "OME-TIFF of 12 bits": (deep(PLANES, 16), {"ome": True, "metadata": CYX | TWELVE}),
    "ImageJ": (PLANES, {"imagej": True, "metadata": CYX}),
    "tiles": (CELL, {"tile": (16, 16), "photometric": "rgb"}),
    "deflate": (deep(CELL, 16), {"compression": "zlib"}),
    "big endian": (deep(CELL, 16), {"byteorder": ">"}),
    "BigTIFF": (deep(CELL, 16), {"bigtiff": True}),
    "one frame of a film": (CELL[None], {"photometric": "rgb", "metadata": {"axes": "TYXS"}}),
    "turned": (np.rot90(deep(CELL, 16)), {"photometric": "rgb", "extratags": [(274, 3, 1, 6)]}),
    **{f"grey, times {factor}": (deep(CELL[..., 0], factor), {}) for factor in (4, 16, 64, 257)},
    "white is zero": (deep(255 - CELL[..., 0], 257), {"photometric": "miniswhite"}),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_way_to_write_a_cell_gives_its_pixels(tmp_path, name):
    array, options = WRITERS[name]
    tifffile.imwrite(tmp_path / "a.tif", array, **options)
    expected = CELL if array.ndim > 2 else np.stack([CELL[..., 0]] * 3, axis=2)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", SAME_SIZE), expected)


@pytest.mark.parametrize(
    ("array", "options", "reason"),
    [
        (np.stack([CELL] * 4), {"photometric": "rgb"}, "a stack"),
        (np.stack([CELL[..., 0]] * 5), {}, "a stack"),
        (PLANES[:2], {"metadata": CYX}, "two channels: expected one image"),
        (CELL.astype(np.float32), {"photometric": "rgb"}, "32-bit pixels, whose"),
        (CELL.astype(np.int16), {"photometric": "rgb"}, "16-bit pixels, whose"),
        (CELL.astype(np.uint32), {"photometric": "rgb"}, "32-bit pixels, whose"),
    ],
    ids=["film in colour", "stack", "two channels", "float", "signed", "32 bits"],
)
def test_what_is_not_one_image_of_a_known_range_is_refused(tmp_path, array, options, reason):
    tifffile.imwrite(tmp_path / "a.tif", array, **options)
    with pytest.raises(UnreadableImageError, match=f"^{reason}"):
        read_image(tmp_path / "a.tif", SAME_SIZE)


def test_several_images_in_one_file_are_refused(tmp_path):
    for number in range(3):
        tifffile.imwrite(tmp_path / "a.tif", CELL, append=bool(number))
    with pytest.raises(UnreadableImageError, match=r"^3 images in one file: expected one"):
        read_image(tmp_path / "a.tif", SAME_SIZE)


def test_a_tile_too_large_is_refused_before_it_is_decoded(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", CELL, tile=(16, 16), photometric="rgb")
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as file:
        for name in ("TileWidth", "TileLength"):
            file.pages[0].tags[name].overwrite(40000)
    with pytest.raises(UnreadableImageError, match="40000 x 40000 pixels, more than the"):
        read_image(tmp_path / "a.tif", SAME_SIZE)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "jpeg"])
def test_what_libtiff_says_of_damage_does_not_reach_the_user(tmp_path, capfd, compression):
    path = tmp_path / "a.tif"
    noise = np.random.RandomState(0).randint(0, 256, (40, 40, 3)).astype(np.uint8)
    Image.fromarray(noise).save(path, compression=compression)
    content = path.read_bytes()
    for place in range(8, len(content), 61):
        damaged = bytearray(content)
        damaged[place : place + 8] = b"\xff\x00" * 4
        path.write_bytes(damaged)
        with contextlib.suppress(UnreadableImageError):
            read_image(path, PixelFormat((8, 8)))
    assert capfd.readouterr() == ("", "")
