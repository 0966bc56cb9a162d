"""images: read one image, from a file or from memory, into the array a model understands."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from malaria.base.errors import UsageError, UserError
from malaria.base.streams import stderr_discarded
from malaria.pictures.depth import in_rows, scale
from malaria.pictures.dicom import PLACE, PREFIX, open_dicom
from malaria.pictures.heic import BEGINNING as HEIC
from malaria.pictures.heic import heic_formats
from malaria.pictures.limits import UnreadableImageError, check_sides, open_regular
from malaria.pictures.memory import Claim
from malaria.pictures.png import open_deep_png
from malaria.pictures.remote_files import open_remote
from malaria.pictures.remote_path import AnyPath, RemotePath, to_path
from malaria.pictures.tiff import MAGIC as TIFF_MAGIC
from malaria.pictures.tiff import open_tiff, without_unnamed

# A stranger's file need not reach the dozens of rarer decoders that Pillow has.
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF")
# Of the images that a network takes: keeps one, as float32, under 200 MB.
MAX_SIDE = 4096
# Bytes of a pixel in Pillow, and how many copies of all a decoder has.
BYTES, COPIES = 4, {"WEBP": 6, "TIFF": 2, "HEIF": 2}
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

# And what else may be given for one.
ARRAYS = (
    "many images in one file: python -m malaria unpack FILE.npz --out FOLDER makes files of them"
)

Fit = Literal["stretch", "pad", "crop"]
FITS: tuple[Fit, ...] = get_args(Fit)

# Arrays are uint8: (height, width) grey, (height, width, 3) RGB or (height, width, 4) RGBA.
Source = AnyPath | str | Image.Image | np.ndarray

# Its warning at half of its own limit would be printed into results; MAX_PIXELS is the rule here.
Image.MAX_IMAGE_PIXELS = None
# Blocks of this size go back to the system at once; of Pillow's own, 16 MB, each thread would keep
# those of its largest image. As PILLOW_BLOCK_SIZE does; tried with Pillow 11.3 and 13.0.
Image.core.set_block_size(64 * 2**20)
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


def is_readable(path: Path) -> bool:
    try:
        open_image(path)
    except UnreadableImageError:
        return False
    return True


def open_image(source: Source) -> Image.Image:
    """The decoded image, mode RGB, in its own size. Raises UnreadableImageError."""
    with opened(source) as image:
        return image


@contextmanager
def opened(source: Source) -> Iterator[Image.Image]:
    """As open_image; the memory of a large image is counted until the block ends."""
    with Claim() as claim:
        image = _open(source, claim)
        claim.keep(BYTES * image.width * image.height)
        yield image
        del image  # before another image has the room


def _open(source: Source, claim: Claim) -> Image.Image:
    try:
        if isinstance(source, np.ndarray):
            source = Image.fromarray(source)
        if isinstance(source, Image.Image):
            return _decode(source)
        return _open_file(to_path(source), claim)
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


def _open_file(path: AnyPath, claim: Claim) -> Image.Image:
    with open_remote(path) if isinstance(path, RemotePath) else open_regular(path) as file:
        beginning = file.read(len(PREFIX) + PLACE)
        if beginning[PLACE:] == PREFIX:
            return _to_rgb(open_dicom(file, claim))
        if path.suffix.lower() == ".npz" and beginning.startswith(b"PK"):
            raise UnreadableImageError(ARRAYS)
        is_tiff = beginning[:4] in TIFF_MAGIC
        if is_tiff and (tiff := open_tiff(path, file, claim)) is not None:
            return _to_rgb(tiff)
        file.seek(0)
        # libtiff tells of each damage on stderr, past Python; what matters is raised.
        quiet = stderr_discarded() if is_tiff else nullcontext()
        formats = heic_formats() if HEIC.match(beginning) else FORMATS
        with quiet, Image.open(file, formats=formats) as image:
            _check(image)
            if (deep := open_deep_png(image, file, path, claim)) is not None:
                return _to_rgb(deep)
            claim.take(_bytes_of(image))
            # Each copy costs every image.
            ImageOps.exif_transpose(image, in_place=True)
            image.load()  # before the file is closed
            return _to_rgb(without_unnamed(image) if is_tiff else image)


def _bytes_of(image: Image.Image) -> int:
    """The most memory that an image takes while it is decoded and becomes RGB."""
    copies = COPIES.get(image.format or "", 1) + (image.mode != "RGB")
    return BYTES * copies * image.width * image.height


def _decode(image: Image.Image) -> Image.Image:
    _check(image)
    image = ImageOps.exif_transpose(image)
    image.load()
    if image.mode.startswith("I;16"):
        image = Image.fromarray(scale(np.asarray(image).astype(np.uint16), ()))
    return _to_rgb(image)


def _check(image: Image.Image) -> None:
    check_sides(*image.size)
    if image.mode in ("F", "I"):
        raise UnreadableImageError("32-bit pixels, whose range is not known: expected 8 or 16 bits")


def _to_rgb(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    black = Image.new("RGB", image.size)
    # Some rows at a time, for an image may be large.
    for rows in in_rows(image.height):
        part = image.crop((0, rows.start, image.width, rows.stop)).convert("RGBA")
        ground = Image.new("RGBA", part.size, (0, 0, 0, 255))
        black.paste(Image.alpha_composite(ground, part).convert("RGB"), (0, rows.start))
    return black


def _reason(error: Exception) -> str:
    if known := [reason for kind, reason in REASONS.items() if isinstance(error, kind)]:
        return known[0]
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read: {error.strerror}"
    return f"damaged: {error}".replace("\n", " ")
