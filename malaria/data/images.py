"""images: read one picture, from a file or from memory, into the array a model understands."""

import os
import stat
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from malaria.base.errors import UsageError, UserError

# Only the decoders behind the endings in folders.SUFFIXES are tried: Pillow knows dozens of rarer
# formats, and a stranger's file need not reach them.
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
# A picture of one cell has under a megapixel. Past this a small file could fill the memory.
MAX_PIXELS = 64_000_000
# Of the pictures that a network takes: keeps one, as float32, under 200 MB.
MAX_SIDE = 4096
CHANNEL_ORDERS = ("RGB", "BGR")
RESAMPLINGS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}

# A picture in a file or in memory; arrays are uint8: (height, width) grey, (height, width, 3) RGB
# or (height, width, 4) RGBA.
Source = Path | str | Image.Image | np.ndarray

# Its warning at half of its own limit would be printed into results; MAX_PIXELS is the rule here.
Image.MAX_IMAGE_PIXELS = None
# Odd metadata is no reason to distrust the pixels, nor to print anything. Not catch_warnings around
# each picture: in several threads at once that loses everybody's filters.
warnings.filterwarnings("ignore", module="PIL")


class UnreadableImageError(UserError):
    """A file that is no picture, is damaged, or holds pixels of no agreed range."""


@dataclass(frozen=True)
class PixelFormat:
    """How a picture becomes numbers; it travels with the model.

    size: (height, width) in pixels. colour: order of the three channels. resampling: the filter,
    always with antialiasing. scale: what the grey levels 0..255 are multiplied by.
    """

    size: tuple[int, int]
    colour: str = "RGB"
    resampling: str = "bilinear"
    scale: float = 1 / 255


def read_image(source: Source, pixel_format: PixelFormat) -> np.ndarray:
    """Read one picture as (height, width, 3), uint8, in the colour order of `pixel_format`.

    Grey and palette pictures become RGB; transparent parts become black, the surround of a cell;
    16-bit grey keeps its upper 8 bits; a photograph's EXIF orientation is applied; of several
    frames the first counts. Raises UnreadableImageError with the reason.
    """
    image = open_image(source)
    height, width = pixel_format.size
    if image.size != (width, height):
        image = image.resize((width, height), RESAMPLINGS[pixel_format.resampling])
    pixels = np.asarray(image)
    return pixels[:, :, ::-1] if pixel_format.colour == "BGR" else pixels


def check_image(path: Path) -> None:
    """Decode a picture and forget it. Raises UnreadableImageError with the reason."""
    open_image(path)


def open_image(source: Source) -> Image.Image:
    """The decoded picture, mode RGB, in its own size. Raises UnreadableImageError."""
    try:
        if isinstance(source, np.ndarray):
            source = Image.fromarray(source)
        if isinstance(source, Image.Image):
            return _decode(source, in_place=False)
        # A pipe or a device with the name of a picture would be waited on for ever.
        if not stat.S_ISREG(os.stat(source).st_mode):
            raise UnreadableImageError("not a regular file")
        with Image.open(source, formats=FORMATS) as image:
            return _decode(image, in_place=True)
    except UnreadableImageError:
        raise
    except Exception as error:
        # Decoders fail on damaged files in many ways: OSError, SyntaxError, struct.error, ...
        raise UnreadableImageError(_reason(error)) from None


def check_array(array: np.ndarray) -> None:
    """Raise UsageError unless `array` is a picture as Source has it.

    Floats are refused, never rescaled: nobody can tell 0..1 from 0..255 in a dark picture.
    """
    shape = array.shape
    fits = len(shape) == 2 or (len(shape) == 3 and shape[2] in (3, 4))
    if array.dtype != np.uint8:
        raise UsageError(
            f"expected grey levels 0..255 as uint8; received {array.dtype}: multiply by 255 where "
            "they are 0..1, round, and convert with .astype('uint8')"
        )
    if not fits or 0 in shape:
        raise UsageError(
            "expected a picture (height, width), (height, width, 3) or (height, width, 4); "
            f"received {shape}"
        )


def _decode(image: Image.Image, *, in_place: bool) -> Image.Image:
    _check_pixels(image)
    if in_place:
        # Each copy costs every picture.
        ImageOps.exif_transpose(image, in_place=True)
    else:
        image = ImageOps.exif_transpose(image)
    # Before the file is closed.
    image.load()
    return _to_rgb(image)


def _check_pixels(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise UnreadableImageError(
            f"{width} x {height} pixels, more than the {MAX_PIXELS:,} allowed"
        )
    if image.mode in ("F", "I"):
        raise UnreadableImageError("32-bit pixels, whose range is not known: expected 8 or 16 bits")


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        grey = (np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)
        image = Image.fromarray(grey)
    if image.has_transparency_data:
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image.convert("RGBA"))
    return image if image.mode == "RGB" else image.convert("RGB")


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, PermissionError):
        return "no permission to read it"
    if type(error).__name__ == "UnidentifiedImageError":
        return "not a picture of a known kind"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read: {error.strerror}"
    return f"damaged: {error}".replace("\n", " ")
