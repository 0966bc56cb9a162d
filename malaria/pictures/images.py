"""images: read one image, from a file or from memory, into the array a model understands."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from PIL import Image, ImageOps

from malaria.base.errors import UsageError
from malaria.pictures.decode import BYTES, Source, decode
from malaria.pictures.limits import UnreadableImageError as UnreadableImageError
from malaria.pictures.memory import Claim

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

Fit = Literal["stretch", "pad", "crop"]
FITS: tuple[Fit, ...] = get_args(Fit)


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
    height, width = pixel_format.size
    with opened(source) as image:
        if pixel_format.colour == "GREY":
            image = image.convert("L")
        if image.size != (width, height):
            image = _resize(image, (width, height), pixel_format)
    pixels = np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    return pixels[:, :, ::-1] if pixel_format.colour == "BGR" else pixels


def _resize(image: Image.Image, size: tuple[int, int], pixel_format: PixelFormat) -> Image.Image:
    """size: (width, height)."""
    resampling = RESAMPLINGS[pixel_format.resampling]
    if pixel_format.resampling == "linear":
        # Rounded down, so up to one grey level below what TensorFlow and OpenCV give.
        return image.transform(size, Image.Transform.EXTENT, (0, 0, *image.size), resampling)
    if pixel_format.fit == "pad":
        return ImageOps.pad(image, size, resampling, color=0)
    if pixel_format.fit == "crop":
        return ImageOps.fit(image, size, resampling)
    return image.resize(size, resampling)


def open_image(source: Source) -> Image.Image:
    """The decoded image, mode RGB, in its own size. Raises UnreadableImageError."""
    with opened(source) as image:
        return image if image.mode == "RGB" else image.convert("RGB")


@contextmanager
def opened(source: Source) -> Iterator[Image.Image]:
    """As open_image, but a grey image is mode L; its memory is counted until the block ends."""
    with Claim() as claim:
        image = decode(source, claim)
        claim.keep(BYTES * image.width * image.height)
        yield image
        del image  # before another image has the room


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
