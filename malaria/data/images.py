"""images: find image files; read one into the array a model understands (no TensorFlow)."""

import os
import stat
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from malaria.base.errors import UserError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
# The same for people.
KINDS = f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
# Only the decoders behind those endings are tried: Pillow knows dozens of rarer formats, and
# a stranger's file need not reach them.
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
# A picture of one cell has under a megapixel. Past this a small file could fill the memory.
MAX_PIXELS = 64_000_000
COLOURS = ("RGB", "BGR")
RESAMPLINGS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}

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


def is_image_name(name):
    """Whether the ending of `name`, in any case, is that of a picture."""
    return name.lower().endswith(SUFFIXES)


def find_images(folder):
    """Yield the paths of all pictures below `folder`, folder by folder, sorted by name.

    Follows symbolic links, each real folder once. Holds the names of one folder at a time.
    Raises UserError if a folder cannot be listed.
    """
    yield from _walk(Path(folder), seen=set())


def _walk(folder, seen):
    real = os.path.realpath(folder)
    if real in seen:
        return
    seen.add(real)
    files, folders = _list(folder)
    for name in files:
        yield folder / name
    for name in folders:
        yield from _walk(folder / name, seen)


def _list(folder):
    """The sorted names of the pictures in `folder` and of the folders in it."""
    files, folders = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if _is_folder(entry):
                    folders.append(entry.name)
                elif is_image_name(entry.name):
                    files.append(entry.name)
    except OSError as error:
        raise UserError(f"cannot list the folder {folder}: {error.strerror}") from None
    return sorted(files), sorted(folders)


def _is_folder(entry):
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, say: as a file it becomes one unreadable picture
        return False


def read_image(path, pixel_format):
    """Read one picture as (height, width, 3), uint8, in the colour order of `pixel_format`.

    Grey and palette pictures become RGB; transparent parts become black, the surround of a cell;
    16-bit grey keeps its upper 8 bits; a photograph's EXIF orientation is applied; of several
    frames the first counts. Raises UnreadableImageError with the reason.
    """
    image = open_image(path)
    height, width = pixel_format.size
    if image.size != (width, height):
        image = image.resize((width, height), RESAMPLINGS[pixel_format.resampling])
    pixels = np.asarray(image)
    return pixels[:, :, ::-1] if pixel_format.colour == "BGR" else pixels


def check_image(path):
    """Decode a picture and forget it. Raises UnreadableImageError with the reason."""
    open_image(path)


def open_image(path):
    """The decoded picture, mode RGB, in its own size. Raises UnreadableImageError."""
    try:
        # A pipe or a device with the name of a picture would be waited on for ever.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise UnreadableImageError("not a regular file")
        with Image.open(path, formats=FORMATS) as image:
            _check_pixels(image)
            # In place, and loaded before the file is closed: each copy costs every picture.
            ImageOps.exif_transpose(image, in_place=True)
            image.load()
            return _to_rgb(image)
    except UnreadableImageError:
        raise
    except Exception as error:
        # Decoders fail on damaged files in many ways: OSError, SyntaxError, struct.error, ...
        raise UnreadableImageError(_reason(error)) from None


def _check_pixels(image):
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise UnreadableImageError(
            f"{width} x {height} pixels, more than the {MAX_PIXELS:,} allowed"
        )
    if image.mode in ("F", "I"):
        raise UnreadableImageError("32-bit pixels, whose range is not known: expected 8 or 16 bits")


def _to_rgb(image):
    if image.mode.startswith("I;16"):
        grey = (np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)
        image = Image.fromarray(grey)
    if image.has_transparency_data:
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image.convert("RGBA"))
    return image if image.mode == "RGB" else image.convert("RGB")


def _reason(error):
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, PermissionError):
        return "no permission to read it"
    if type(error).__name__ == "UnidentifiedImageError":
        return "not a picture of a known kind"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read: {error.strerror}"
    return f"damaged: {error}".replace("\n", " ")
