"""Tests of malaria/pictures/images.py."""

import os
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageOps

from malaria.base.errors import UsageError
from malaria.pictures.images import (
    PixelFormat,
    UnreadableImageError,
    check_array,
    open_image,
    read_image,
)
from malaria.pictures.limits import MAX_PIXELS

RANDOM = np.random.default_rng(5)
HEIGHT, WIDTH = 12, 10
# Smooth, so that JPEG and WebP change it little.
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH]
RGB = np.stack([ROWS * 20, COLUMNS * 25, 255 - ROWS * 20], axis=2).astype(np.uint8)
GREY = RGB[:, :, 0]
DEEP = (GREY.astype(np.uint16) << 8) + 37
ALPHA = np.where(COLUMNS < 5, 0, 255).astype(np.uint8)
SAME_SIZE = PixelFormat((HEIGHT, WIDTH))
THREE_GREYS = np.stack([GREY] * 3, axis=2)
ON_BLACK = np.where(ALPHA[:, :, None] == 0, 0, RGB)
TWO_COLOURS = np.where(ALPHA[:, :, None] == 0, 0, np.array([200, 100, 50], np.uint8))


def palette(array):
    return Image.fromarray(array).quantize(256, dither=Image.Dither.NONE)


def with_alpha(*arrays):
    return Image.fromarray(np.dstack([*arrays, ALPHA]))


def palette_with_transparency():
    image = Image.new("P", (WIDTH, HEIGHT), 1)
    image.putpalette([9, 9, 9, 200, 100, 50])
    image.paste(0, (0, 0, 5, HEIGHT))
    return image


@pytest.mark.parametrize(
    ("name", "image", "options", "expected"),
    [
        ("grey.png", Image.fromarray(GREY), {}, THREE_GREYS),
        ("rgb.png", Image.fromarray(RGB), {}, RGB),
        ("rgba.png", with_alpha(RGB), {}, ON_BLACK),
        ("grey_alpha.png", with_alpha(GREY), {}, np.where(ON_BLACK.any(2, keepdims=True), 1, 0)
         * THREE_GREYS),
        ("palette.png", palette(RGB), {}, np.asarray(palette(RGB).convert("RGB"))),
        ("palette_clear.png", palette_with_transparency(), {"transparency": 0}, TWO_COLOURS),
        ("one_bit.png", Image.fromarray(GREY > 99), {}, np.where(THREE_GREYS > 99, 255, 0)),
        ("deep.png", Image.fromarray(DEEP), {}, THREE_GREYS),
        ("rgb.bmp", Image.fromarray(RGB), {}, RGB),
        ("grey.bmp", Image.fromarray(GREY), {}, THREE_GREYS),
        ("rgb.tif", Image.fromarray(RGB), {}, RGB),
        ("lzw.tiff", Image.fromarray(RGB), {"compression": "tiff_lzw"}, RGB),
        ("exact.webp", Image.fromarray(RGB), {"lossless": True}, RGB),
        ("clear.webp", with_alpha(RGB), {"lossless": True}, ON_BLACK),
        ("first.gif", palette(RGB), {"save_all": True, "append_images": [palette(255 - RGB)]},
         np.asarray(palette(RGB).convert("RGB"))),
        ("first.webp", Image.fromarray(RGB), {"lossless": True, "save_all": True, "append_images":
         [Image.fromarray(255 - RGB)]}, RGB),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_every_kind_without_loss_gives_exactly_its_pixels(tmp_path, name, image, options, expected):
    image.save(tmp_path / name, **options)
    pixels = read_image(tmp_path / name, SAME_SIZE)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, expected)


@pytest.mark.parametrize(
    ("name", "image", "expected"),
    [
        ("rgb.jpg", Image.fromarray(RGB), RGB),
        ("grey.jpeg", Image.fromarray(GREY), THREE_GREYS),
        ("cmyk.jpg", Image.fromarray(RGB).convert("CMYK"), RGB),
        ("rgb.webp", Image.fromarray(RGB), RGB),
    ],
)
def test_every_kind_with_loss_gives_nearly_its_pixels(tmp_path, name, image, expected):
    image.save(tmp_path / name, quality=98)
    pixels = read_image(tmp_path / name, SAME_SIZE)
    assert np.abs(pixels.astype(int) - expected).mean() < 5


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_is_turned_as_its_camera_was_held(tmp_path, orientation):
    Image.fromarray(RGB).save(tmp_path / "a.jpg", exif=turned(orientation), quality=98)
    with Image.open(tmp_path / "a.jpg") as image:
        upright = np.asarray(ImageOps.exif_transpose(image))
    assert (upright.shape[0] == WIDTH) == (orientation > 4)
    pixels = read_image(tmp_path / "a.jpg", PixelFormat(upright.shape[:2]))
    np.testing.assert_array_equal(pixels, upright)


@pytest.mark.parametrize("exif", [b"Exif\0\0junk", b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01"])
def test_odd_metadata_is_no_reason_to_refuse_an_image(tmp_path, exif):
    Image.fromarray(RGB).save(tmp_path / "a.jpg", exif=exif)
    assert read_image(tmp_path / "a.jpg", SAME_SIZE).shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("size", [(64, 48), (7, 5), (12, 200)])
@pytest.mark.parametrize("name", ["bilinear", "bicubic"])
def test_resizing_is_pillows_with_antialiasing(tmp_path, size, name):
    image = Image.fromarray(RANDOM.integers(256, size=(31, 40, 3), dtype=np.uint8))
    image.save(tmp_path / "a.png")
    expected = image.resize(size[::-1], Image.Resampling[name.upper()])
    pixels = read_image(tmp_path / "a.png", PixelFormat(size, resampling=name))
    np.testing.assert_array_equal(pixels, np.asarray(expected))


def test_nearest_is_pillows_and_linear_is_within_a_grey_level_of_tensorflows(tmp_path):
    levels = np.arange(0, 250, 10).reshape(5, 5)
    image = Image.fromarray(np.repeat(levels[..., None], 3, axis=2).astype(np.uint8))
    nearest = read_image(image, PixelFormat((2, 3), resampling="nearest"))
    np.testing.assert_array_equal(nearest[..., 0], [[50, 70, 90], [150, 170, 190]])
    # Of tf.image.resize(levels, size, "bilinear"), which cv2.resize rounds.
    smaller = [[40.833332, 57.5, 74.166664], [165.83333, 182.5, 199.16667]]
    larger = [[0, 7.5, 15.83333, 24.16667, 32.5, 40], [200, 207.5, 215.8333, 224.1667, 232.5, 240]]
    for size, row, expected in (((2, 3), slice(None), smaller), ((6, 6), [0, 5], larger)):
        pixels = read_image(image, PixelFormat(size, resampling="linear"))[row, :, 0]
        assert np.abs(pixels - np.array(expected)).max() <= 1.001


def test_clear_parts_leave_no_colour_behind_when_resized(tmp_path):
    white = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    Image.fromarray(np.dstack([white, np.zeros_like(ALPHA)])).save(tmp_path / "a.png")
    assert not read_image(tmp_path / "a.png", PixelFormat((4, 4))).any()


def encoded(kind):
    noise = RANDOM.integers(256, size=(64, 64, 3), dtype=np.uint8)
    buffer = BytesIO()
    Image.fromarray(noise).save(buffer, kind)
    return buffer.getvalue()


def npz():
    buffer = BytesIO()
    np.savez_compressed(buffer, train_images=GREY)
    return buffer.getvalue()


NPZ = npz()
UNKNOWN = "not an image of a known kind"
CHANGED = bytearray(encoded("PNG"))
CHANGED[3000] ^= 0xFF


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.png", b"", "an empty file$"),
        ("pointer.png", b"version https://git-lfs.github.com/spec/v1\noid", "a Git LFS pointer, "),
        ("page.png", b"\n<!doctype HTML><html>", "a web page, "),
        ("array.png", b"\x93NUMPY\1\0", "a NumPy array: "),
        ("many.png", NPZ, "many images in one file: python -m malaria unpack "),
        ("paper.png", b"%PDF-1.4", "a PDF: "),
        ("phone.jpg", encoded("AVIF"), "an AVIF image: save it as PNG or JPEG$"),
        ("small.jpg", encoded("JPEG2000"), "a JPEG 2000 image: "),
        ("text.png", b"no image\n" * 99, UNKNOWN),
        ("Thumbs.db.png", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" * 64, UNKNOWN),
        ("rare.png", encoded("PPM"), UNKNOWN),
        ("script.png", b"%!PS-Adobe-3.0 EPSF-3.0\n", UNKNOWN),
        *((f"cut.{kind}", encoded(kind)[:5000], "damaged: ") for kind in ("PNG", "BMP")),
        *((f"cut.{kind}", encoded(kind)[:1500], "damaged: ") for kind in ("JPEG", "GIF")),
        *(("cut.tif", encoded("TIFF")[:5000], ""), ("cut.webp", encoded("WEBP")[:1500], "")),
        ("changed.png", CHANGED, "damaged: "),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value else "",
)
def test_a_file_that_is_no_whole_image_is_refused(tmp_path, name, content, reason):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableImageError, match=f"^{reason}") as caught:
        read_image(tmp_path / name, SAME_SIZE)
    assert str(caught.value).isprintable()


def test_a_small_file_that_would_fill_the_memory_is_refused(tmp_path):
    large = Image.new("1", (12_000, 9000))
    large.save(tmp_path / "bomb.png")
    assert (tmp_path / "bomb.png").stat().st_size < MAX_PIXELS / 1000
    for source in (tmp_path / "bomb.png", large):
        with pytest.raises(UnreadableImageError, match=r"^12000 x 9000 pixels, more than the "):
            read_image(source, SAME_SIZE)


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_pixels_of_no_agreed_range_are_refused(tmp_path, dtype):
    image = Image.fromarray(GREY.astype(dtype))
    image.save(tmp_path / "a.tif")
    for source in (tmp_path / "a.tif", image):
        with pytest.raises(UnreadableImageError, match="32-bit pixels, whose range is not known"):
            read_image(source, SAME_SIZE)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.symlink_to("nowhere.png"), "no such file"),
        (
            lambda path: path.symlink_to("a.png"),
            "cannot be read: Too many levels of symbolic links",
        ),
        *((make, "not a regular file") for make in (os.mkfifo, os.mkdir)),
    ],
    ids=["missing", "broken link", "link to itself", "pipe", "folder"],
)
def test_what_is_no_file_is_refused_at_once(tmp_path, make, reason):
    make(tmp_path / "a.png")
    with pytest.raises(UnreadableImageError) as caught:
        read_image(tmp_path / "a.png", SAME_SIZE)
    assert str(caught.value) == reason


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded("PNG"))
    (tmp_path / "a.png").chmod(0)
    with pytest.raises(UnreadableImageError, match="no permission to read it"):
        read_image(tmp_path / "a.png", SAME_SIZE)


@pytest.mark.parametrize(
    "pixel_format",
    [
        *(SAME_SIZE, PixelFormat((HEIGHT, WIDTH), colour="BGR")),
        *(PixelFormat((31, 7)), PixelFormat((5, 40), resampling="bicubic")),
    ],
    ids=["same size", "BGR", "bilinear", "bicubic"],
)
@pytest.mark.parametrize(
    "array", [GREY, GREY[:1, :1], RGB, np.dstack([RGB, ALPHA]), RGB[::-1, ::-1]]
)
def test_an_image_in_memory_gives_the_pixels_of_its_file(tmp_path, array, pixel_format):
    Image.fromarray(array).save(tmp_path / "a.png")
    expected = read_image(tmp_path / "a.png", pixel_format)
    for source in (array, Image.fromarray(array), str(tmp_path / "a.png")):
        pixels = read_image(source, pixel_format)
        assert pixels.dtype == np.uint8
        np.testing.assert_array_equal(pixels, expected)
    with Image.open(tmp_path / "a.png") as not_yet_decoded:
        np.testing.assert_array_equal(read_image(not_yet_decoded, pixel_format), expected)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "HSV", "YCbCr"])
def test_a_pil_image_of_any_mode_is_opened_as_rgb_in_its_own_size(mode):
    image = open_image(Image.fromarray(np.dstack([RGB, ALPHA])).convert(mode))
    assert (image.mode, image.size) == ("RGB", (WIDTH, HEIGHT))


def test_a_pil_image_is_turned_as_its_camera_was_held_and_stays_as_it_was(tmp_path):
    upright = PixelFormat((WIDTH, HEIGHT))
    Image.fromarray(RGB).save(tmp_path / "a.jpg", exif=turned(6))
    with Image.open(tmp_path / "a.jpg") as image:
        before = image.copy()
        expected = read_image(tmp_path / "a.jpg", upright)
        np.testing.assert_array_equal(read_image(image, upright), expected)
        assert image.size == (WIDTH, HEIGHT)
        assert image.getexif()[0x0112] == 6
        np.testing.assert_array_equal(np.asarray(image), np.asarray(before))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint16, np.int8, np.int64, bool])
def test_an_array_of_another_type_is_refused_with_what_to_do(dtype):
    with pytest.raises(UsageError) as caught:
        check_array(np.zeros((12, 10, 3), dtype))
    assert str(caught.value) == (
        f"expected grey levels 0..255 as uint8; received {np.dtype(dtype)}: multiply by 255 where "
        "they are 0..1, round, and convert with .astype('uint8')"
    )


@pytest.mark.parametrize(
    "shape",
    [(), (12,), (12, 10, 1), (12, 10, 2), (3, 12, 10), (1, 12, 10, 3), (0, 10), (12, 0, 3)],
    ids=str,
)
def test_an_array_of_another_shape_is_refused_with_those_that_can_be(shape):
    with pytest.raises(UsageError) as caught:
        check_array(np.zeros(shape, np.uint8))
    expected = "expected an image (height, width), (height, width, 3) or (height, width, 4)"
    assert str(caught.value) == f"{expected}; received {shape}"
