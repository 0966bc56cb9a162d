"""Tests of malaria/pictures/tiff.py: what microscopes write is read as the same cells."""

import contextlib
import re

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


MARK = np.random.default_rng(4).integers(0, 255, (HEIGHT, WIDTH, 1)).astype(np.uint8)
CLEAR = np.where(CELL.any(axis=2, keepdims=True), 255, 0).astype(np.uint8)
ON_WHITE = np.where(CLEAR, CELL, 255).astype(np.uint8)
THREE_GREYS = np.stack([CELL[..., 0]] * 3, axis=2)
COLOUR, GREY_LEVELS = {"photometric": "rgb"}, {"photometric": "minisblack"}
GREY_LEVELS["planarconfig"] = "contig"
# Arrays of 8 bits whose last samples are said to be this, and the pixels that they mean.
BESIDE_COLOURS = {
    "no colour": ([CELL, MARK], COLOUR, ["unspecified"], CELL),
    "nothing": ([CELL, 0 * MARK], COLOUR, ["unspecified"], CELL),
    "transparency": ([ON_WHITE, CLEAR], COLOUR, ["unassalpha"], CELL),
    "multiplied transparency": ([CELL // 2, CLEAR // 2], COLOUR, ["assocalpha"], CELL // 2),
    "transparency that is not multiplied": ([ON_WHITE, CLEAR], COLOUR, ["assocalpha"], CELL),
    "two others": ([CELL, MARK, MARK], COLOUR, ["unspecified"] * 2, CELL),
    "another, then transparency": (
        *([ON_WHITE, MARK, CLEAR], COLOUR),
        *(["unspecified", "unassalpha"], CELL),
    ),
    "no grey": ([CELL[..., :1], MARK], GREY_LEVELS, ["unspecified"], THREE_GREYS),
    "transparency of grey": (
        *([ON_WHITE[..., :1], CLEAR], GREY_LEVELS),
        *(["unassalpha"], THREE_GREYS),
    ),
}


@pytest.mark.parametrize("factor", [1, 16, 257])
@pytest.mark.parametrize("name", BESIDE_COLOURS)
def test_only_what_a_tiff_calls_transparency_is_transparency(tmp_path, name, factor):
    parts, options, extra, expected = BESIDE_COLOURS[name]
    array = np.concatenate(parts, axis=2)
    array = array if factor == 1 else deep(array, factor)
    tifffile.imwrite(tmp_path / "a.tif", array, extrasamples=extra, **options)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", SAME_SIZE), expected)


@pytest.mark.parametrize("factor", [1, 257])
@pytest.mark.parametrize(
    "options",
    [{"planarconfig": "separate"}, {"tile": (16, 16)}, {"compression": "zlib", "predictor": True}],
    ids=str,
)
def test_a_sample_that_is_no_colour_is_dropped_however_the_samples_lie(tmp_path, options, factor):
    array = np.concatenate([CELL, MARK], axis=2).astype(np.uint8 if factor == 1 else np.uint16)
    array = np.moveaxis(array, -1, 0) if "planarconfig" in options else array
    known = COLOUR | {"extrasamples": ["unspecified"]} | options
    tifffile.imwrite(tmp_path / "a.tif", array * array.dtype.type(factor), **known)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", SAME_SIZE), CELL)


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_a_fourth_sample_of_which_nothing_is_said_is_no_transparency(tmp_path, compression):
    image = Image.fromarray(np.concatenate([CELL, MARK], axis=2))
    image.save(tmp_path / "a.tif", compression=compression)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        tag = file.pages[0].tags["ExtraSamples"]
    with open(tmp_path / "a.tif", "rb+") as file:
        file.seek(tag.offset)
        file.write((65000).to_bytes(2, "little"))  # a tag of nobody's
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", SAME_SIZE), CELL)


def colour_table(*bands):
    """What ImageJ calls a LUT: rising in these of red, green and blue."""
    levels = np.arange(256, dtype=np.uint8)
    return np.stack([levels * (band in bands) for band in range(3)])


IMAGEJ, OME = {"imagej": True}, {"ome": True}
BLUE_FIRST = [colour_table(2), colour_table(1), colour_table(0)]
CHANNELS = {
    "ImageJ's names": (IMAGEJ, {"Labels": ["Blue", "Green", "Red"]}),
    "ImageJ's tables": (IMAGEJ, {"LUTs": BLUE_FIRST}),
    "ImageJ's tables and numbers": (IMAGEJ, {"LUTs": BLUE_FIRST, "Labels": ["c:1/3", "2", ""]}),
    "names in OME": (OME, {"Channel": {"Name": ["B", "G", "R"]}}),
    "colours in OME": (OME, {"Channel": {"Color": [65535, 16711935, -16776961]}}),
}


@pytest.mark.parametrize("factor", [1, 16])
@pytest.mark.parametrize("name", CHANNELS)
def test_channels_that_are_called_red_green_and_blue_are_the_colours(tmp_path, name, factor):
    options, told = CHANNELS[name]
    planes = PLANES[::-1].astype(np.uint8 if factor == 1 else np.uint16) * factor
    tifffile.imwrite(tmp_path / "a.tif", planes, metadata=CYX | told, **options)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", SAME_SIZE), CELL)


FOUR = np.concatenate([PLANES, PLANES[:1]])
NO_COLOURS = {
    "four of ImageJ": (FOUR, IMAGEJ, {}, "4 channels (of unknown colours)"),
    "four in OME": (FOUR, OME, {}, "4 channels (of unknown colours)"),
    "two of ImageJ": (PLANES[:2], IMAGEJ, {}, "2 channels (of unknown colours)"),
    "stains": (PLANES, IMAGEJ, {"Labels": ["DAPI", "", "GFP"]}, "3 channels (DAPI, unnamed, GFP)"),
    "colours of print": (PLANES, IMAGEJ, {"Labels": ["C", "M", "Y"]}, "3 channels (C, M, Y)"),
    "lasers": (PLANES, IMAGEJ, {"Labels": ["405", "488", "561"]}, "3 channels (405, 488, 561)"),
    "fluorescence": (
        *(PLANES, OME, {"Channel": {"EmissionWavelength": [460, 520, 600]}}),
        "3 channels (460, 520, 600)",
    ),
    "stains shown in red, green and blue": (
        *(PLANES, OME),
        {"Channel": {"Name": ["Cy5", "FITC", "DAPI"], "Color": [-16776961, 16711935, 65535]}},
        "3 channels (Cy5, FITC, DAPI)",
    ),
    "other colours": (
        *(PLANES, IMAGEJ),
        {"LUTs": [colour_table(0, 2), *BLUE_FIRST[1:]]},
        "3 channels (#ff00ff, green, red)",
    ),
}


@pytest.mark.parametrize("factor", [1, 257])
@pytest.mark.parametrize("name", NO_COLOURS)
def test_channels_that_are_no_colours_are_refused_with_what_they_are(tmp_path, name, factor):
    array, options, told, reason = NO_COLOURS[name]
    array = array if factor == 1 else deep(array, factor)
    tifffile.imwrite(tmp_path / "a.tif", array, metadata=CYX | told, **options)
    with pytest.raises(UnreadableImageError) as caught:
        read_image(tmp_path / "a.tif", SAME_SIZE)
    assert str(caught.value) == f"{reason}: expected one image, grey or in red, green and blue"


@pytest.mark.parametrize(
    ("array", "options", "reason"),
    [
        (np.stack([CELL] * 4), {"photometric": "rgb"}, "a stack ("),
        (np.stack([CELL[..., 0]] * 5), {}, "a stack ("),
        (PLANES[:2], {"metadata": CYX}, "2 channels (of unknown colours): expected one image"),
        (CELL.astype(np.float32), {"photometric": "rgb"}, "32-bit pixels, whose"),
        (CELL.astype(np.int16), {"photometric": "rgb"}, "16-bit pixels, whose"),
        (CELL.astype(np.uint32), {"photometric": "rgb"}, "32-bit pixels, whose"),
    ],
    ids=["film in colour", "stack", "two channels", "float", "signed", "32 bits"],
)
def test_what_is_not_one_image_of_a_known_range_is_refused(tmp_path, array, options, reason):
    tifffile.imwrite(tmp_path / "a.tif", array, **options)
    with pytest.raises(UnreadableImageError, match=f"^{re.escape(reason)}"):
        read_image(tmp_path / "a.tif", SAME_SIZE)


def test_several_images_in_one_file_are_refused(tmp_path):
    for number in range(3):
        tifffile.imwrite(tmp_path / "a.tif", CELL, append=bool(number))
    with pytest.raises(UnreadableImageError, match=r"^3 images in one file: expected one"):
        read_image(tmp_path / "a.tif", SAME_SIZE)


def test_pages_without_an_end_are_refused(tmp_path):
    for number in range(3):
        tifffile.imwrite(tmp_path / "a.tif", CELL[..., number % 2], append=bool(number))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        [_, second, last] = file.pages
    with open(tmp_path / "a.tif", "rb+") as file:
        file.seek(last.offset + 2 + 12 * len(last.tags))
        file.write(second.offset.to_bytes(4, "little"))
    with pytest.raises(UnreadableImageError, match="a stack of more than 100 pages"):
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
    told = capfd.readouterr()
    # Where the damage makes grey of its colours it still has three channels.
    assert (
        told.out + "".join(line for line in told.err.splitlines() if "channels" not in line) == ""
    )
