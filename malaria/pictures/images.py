"""images: read one image, from a file or from memory, into the array a model understands."""

import warnings
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from malaria.base.errors import UsageError, UserError
from malaria.base.streams import stderr_discarded
from malaria.pictures.depth import bits_for, to_8_bits
from malaria.pictures.limits import UnreadableImageError, check_sides, open_regular
from malaria.pictures.png import open_deep_png
from malaria.pictures.remote_files import open_remote
from malaria.pictures.remote_path import AnyPath, RemotePath, to_path
from malaria.pictures.tiff import MAGIC as TIFF_MAGIC
from malaria.pictures.tiff import open_tiff

# A stranger's file need not reach the dozens of rarer decoders that Pillow has.
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF")
# Of the images that a network takes: keeps one, as float32, under 200 MB.
MAX_SIDE = 4096
CHANNEL_ORDERS = ("RGB", "BGR", "GREY")
PerChannel = float | tuple[float, float, float]
# linear is bilinear without antialiasing, as of cv2.resize and tf.image.resize; the others are of
# Pillow and PyTorch: bilinear and bicubic with antialiasing.
RESAMPLINGS = {
    "nearest": Image.Resampling.NEAREST,
    "linear": Image.Resampling.BILINEAR,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}

# Why an image cannot be opened, by the kind of error.
REASONS: dict[type[Exception], str] = {
    FileNotFoundError: "no such file",
    PermissionError: "no permission to read it",
    IsADirectoryError: "not a regular file",
    UnidentifiedImageError: "not an image of a known kind",
}

Fit = Literal["stretch", "pad", "crop"]
FITS: tuple[Fit, ...] = get_args(Fit)

# Arrays are uint8: (height, width) grey, (height, width, 3) RGB or (height, width, 4) RGBA.
Source = AnyPath | str | Image.Image | np.ndarray

# Its warning at half of its own limit would be printed into results; MAX_PIXELS is the rule here.
Image.MAX_IMAGE_PIXELS = None
# Odd metadata is no reason to distrust the pixels, nor to print anything. Not catch_warnings around
# each image: in several threads at once that loses everybody's filters.
warnings.filterwarnings("ignore", module="PIL")


@dataclass(frozen=True)
class PixelFormat:
    """How an image becomes numbers; it travels with the model.

    size: (height, width) in pixels. colour: one of CHANNEL_ORDERS; in GREY all three channels are
    equal. resampling: one of RESAMPLINGS. scale, offset: grey levels 0..255 are
    multiplied by the one, then the other is added. fit: an image of another shape is stretched,
    padded with black, or cropped.
    """

    size: tuple[int, int]
    colour: str = "RGB"
    resampling: str = "bilinear"
    scale: PerChannel = 1 / 255
    fit: Fit = "stretch"
    offset: PerChannel = 0.0

    def to_floats(self, images: np.ndarray) -> np.ndarray:
        """(n, height, width, 3), uint8 -> the same, of GREY (n, height, width, 1), float32."""
        scaled = images.astype(np.float32) * np.asarray(self.scale, np.float32)
        if self.offset != 0:
            scaled += np.asarray(self.offset, np.float32)
        return scaled[..., :1] if self.colour == "GREY" else scaled


def read_image(source: Source, pixel_format: PixelFormat) -> np.ndarray:
    """Read one image as (height, width, 3), uint8, in the colour order of `pixel_format`.

    Transparent parts become black, the surround of a cell; of 16 bits the upper 8 of those that are
    used count (see depth); the EXIF orientation is applied; of an animation the first frame counts.
    Raises UnreadableImageError with the reason.
    """
    image = open_image(source)
    if pixel_format.colour == "GREY":
        image = image.convert("L").convert("RGB")
    height, width = pixel_format.size
    if image.size != (width, height):
        image = _resize(image, (width, height), pixel_format)
    pixels = np.asarray(image)
    return pixels[:, :, ::-1] if pixel_format.colour == "BGR" else pixels


def _resize(image: Image.Image, size: tuple[int, int], pixel_format: PixelFormat) -> Image.Image:
    """size: (width, height)."""
    resampling = RESAMPLINGS[pixel_format.resampling]
    if pixel_format.resampling == "linear":
        # Rounded down, so up to one grey level below what TensorFlow and OpenCV give.
        return image.transform(size, Image.Transform.EXTENT, (0, 0, *image.size), resampling)
    if pixel_format.fit == "pad":
        return ImageOps.pad(image, size, resampling, color=(0, 0, 0))
    if pixel_format.fit == "crop":
        return ImageOps.fit(image, size, resampling)
    return image.resize(size, resampling)


def is_readable(path: Path) -> bool:
    try:
        open_image(path)
    except UnreadableImageError:
        return False
    return True


def open_image(source: Source) -> Image.Image:
    """The decoded image, mode RGB, in its own size. Raises UnreadableImageError."""
    try:
        if isinstance(source, np.ndarray):
            source = Image.fromarray(source)
        if isinstance(source, Image.Image):
            return _decode(source)
        return _open_file(to_path(source))
    except UserError:
        raise
    except Exception as error:
        # Decoders fail on damaged files in many ways: OSError, SyntaxError, struct.error, ...
        raise UnreadableImageError(_reason(error)) from None


def check_array(array: np.ndarray) -> None:
    """Raise UsageError unless `array` is an image as Source has it.

    Floats are refused, never rescaled: nobody can tell 0..1 from 0..255 in a dark image.
    """
    fits = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))
    if array.dtype != np.uint8:
        raise UsageError(
            f"expected grey levels 0..255 as uint8; received {array.dtype}: multiply by 255 where "
            "they are 0..1, round, and convert with .astype('uint8')"
        )
    if not fits or 0 in array.shape:
        raise UsageError(
            "expected an image (height, width), (height, width, 3) or (height, width, 4); "
            f"received {array.shape}"
        )


def _open_file(path: AnyPath) -> Image.Image:
    with open_remote(path) if isinstance(path, RemotePath) else open_regular(path) as file:
        is_tiff = file.read(4) in TIFF_MAGIC
        if is_tiff and (tiff := open_tiff(path, file)) is not None:
            return _to_rgb(tiff)
        file.seek(0)
        # libtiff tells of each damage on stderr, past Python; what matters is raised.
        quiet = stderr_discarded() if is_tiff else nullcontext()
        with quiet, Image.open(file, formats=FORMATS) as image:
            _check(image)
            if (deep := open_deep_png(image, file, path)) is not None:
                return _to_rgb(deep)
            # Each copy costs every image.
            ImageOps.exif_transpose(image, in_place=True)
            image.load()  # before the file is closed
            return _to_rgb(image)


def _decode(image: Image.Image) -> Image.Image:
    _check(image)
    image = ImageOps.exif_transpose(image)
    image.load()
    if image.mode.startswith("I;16"):
        levels = np.asarray(image).astype(np.uint16)
        image = Image.fromarray(to_8_bits(levels, bits_for(int(levels.max(initial=0)))))
    return _to_rgb(image)


def _check(image: Image.Image) -> None:
    check_sides(*image.size)
    if image.mode in ("F", "I"):
        raise UnreadableImageError("32-bit pixels, whose range is not known: expected 8 or 16 bits")


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image.convert("RGBA"))
    return image if image.mode == "RGB" else image.convert("RGB")


def _reason(error: Exception) -> str:
    if known := [reason for kind, reason in REASONS.items() if isinstance(error, kind)]:
        return known[0]
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read: {error.strerror}"
    return f"damaged: {error}".replace("\n", " ")
