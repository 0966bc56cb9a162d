"""decode: an image of a file of any kind, or from memory, -> RGB or grey of 8 bits."""

import warnings
from contextlib import nullcontext
from threading import Lock
from typing import Any

import numpy as np
from PIL import Image, ImageOps
from PIL.ExifTags import Base
from PIL.JpegImagePlugin import get_sampling

from malaria.base.errors import UserError
from malaria.base.streams import stderr_discarded
from malaria.pictures.cell_in_field import CellInField
from malaria.pictures.depth import in_rows, scale
from malaria.pictures.dicom import PLACE, PREFIX, open_dicom
from malaria.pictures.heic import BEGINNING as HEIC
from malaria.pictures.heic import heic_formats
from malaria.pictures.limits import UnreadableImageError, check_sides, open_regular
from malaria.pictures.memory import Claim
from malaria.pictures.png import open_deep_png
from malaria.pictures.reasons import reason_of, refuse_other
from malaria.pictures.remote_files import open_remote
from malaria.pictures.remote_path import AnyPath, FilePath, RemotePath, to_path
from malaria.pictures.tiff import MAGIC as TIFF_MAGIC
from malaria.pictures.tiff import open_tiff, without_unnamed

# A stranger's file need not reach the dozens of rarer decoders that Pillow has.
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF")
# Bytes of a pixel in Pillow, in colour and in the modes with fewer, and how many copies of all a
# decoder has.
BYTES, FEWER, COPIES = 4, {"1": 1, "L": 1, "P": 1}, {"WEBP": 6, "HEIF": 2}
# Bytes a pixel more of a progressive JPEG, by how its colours are sampled.
PROGRESSIVE = {0: 6, 1: 4, 2: 3}
# In a TIFF: how many rows are compressed together.
STRIP_ROWS, TILE_ROWS = 278, 323

# Arrays are uint8: (height, width) grey, (height, width, 3) RGB or (height, width, 4) RGBA.
Source = AnyPath | str | Image.Image | np.ndarray

# The field whose cells were last asked for: one, for it may be large; cells come field by field.
_opened: dict[AnyPath, Image.Image] = {}
# Threads that cut cells of one field wait for it; each would decode it for itself.
_one_at_a_time = Lock()

# Its warning at half of its own limit would be printed into results; MAX_PIXELS is the rule here.
Image.MAX_IMAGE_PIXELS = None
# Blocks of this size go back to the system at once; of Pillow's own, 16 MB, each thread would keep
# those of its largest image. As PILLOW_BLOCK_SIZE does; tried with Pillow 11.3 and 13.0.
Image.core.set_block_size(64 * 2**20)
# Odd metadata is no reason to distrust the pixels, nor to print anything. Not catch_warnings around
# each image: in several threads at once that loses everybody's filters.
warnings.filterwarnings("ignore", module="PIL")


def decode(source: Source, claim: Claim) -> Image.Image:
    """An image of a file or from memory, mode RGB or L, in its own size.

    Raises UnreadableImageError.
    """
    try:
        if isinstance(source, np.ndarray):
            source = Image.fromarray(source)
        if isinstance(source, Image.Image):
            return _from_memory(source)
        if isinstance(source, CellInField):
            return _cut(source)
        return _open_file(to_path(source), claim)
    except UserError:
        raise
    except Exception as error:
        # Decoders fail on damaged files in many ways: OSError, SyntaxError, struct.error, ...
        raise UnreadableImageError(reason_of(error)) from None


def open_field(path: AnyPath) -> Image.Image:
    """A field, mode RGB, decoded once for all its cells. Raises UnreadableImageError."""
    with _one_at_a_time:
        if path not in _opened:
            _opened.clear()  # before another field has the room
            with Claim() as claim:
                image = decode(path, claim)
                _opened[path] = image if image.mode == "RGB" else image.convert("RGB")
        return _opened[path]


def _cut(cell: CellInField) -> Image.Image:
    field, box = open_field(cell.field), cell.box
    right, bottom = box.left + box.width, box.top + box.height
    if min(box.left, box.top) < 0 or right > field.width or bottom > field.height:
        raise UnreadableImageError(
            f"the box {box} (left, top, width, height) reaches beyond its field, which has "
            f"{field.width} x {field.height} pixels"
        )
    return field.crop((box.left, box.top, right, bottom))


def _open_file(path: FilePath, claim: Claim) -> Image.Image:
    with open_remote(path) if isinstance(path, RemotePath) else open_regular(path) as file:
        beginning = file.read(len(PREFIX) + PLACE)
        if beginning[PLACE:] == PREFIX:
            return _to_colours(open_dicom(file, claim))
        refuse_other(beginning)
        is_tiff = beginning[:4] in TIFF_MAGIC
        if is_tiff and (tiff := open_tiff(path, file, claim)) is not None:
            return _to_colours(tiff)
        file.seek(0)
        # libtiff tells of each damage on stderr, past Python; what matters is raised.
        quiet = stderr_discarded() if is_tiff else nullcontext()
        formats = heic_formats() if HEIC.match(beginning) else FORMATS
        with quiet, Image.open(file, formats=formats) as image:
            _check(image)
            if (deep := open_deep_png(image, file, path, claim)) is not None:
                return _to_colours(deep)
            claim.take(_bytes_of(image))
            # Each copy costs every image.
            ImageOps.exif_transpose(image, in_place=True)
            image.load()  # before the file is closed
            return _to_colours(without_unnamed(image) if is_tiff else image)


def _bytes_of(image: Image.Image) -> int:
    """The most memory that an image takes while it is decoded and becomes RGB or L."""
    each = FEWER.get(image.mode, BYTES)
    needed = each * (COPIES.get(image.format or "", 1) + _is_turned(image))
    needed += 0 if image.mode in ("L", "RGB") else BYTES
    if image.info.get("progressive"):
        needed += PROGRESSIVE.get(get_sampling(image), PROGRESSIVE[0])
    return image.width * (needed * image.height + BYTES * _rows_at_once(image))


def _is_turned(image: Image.Image) -> bool:
    """Whether the pixels of a photograph have another order in the file."""
    # Pillow reads a whole PNG to tell; cameras write none.
    return image.format == "JPEG" and image.getexif().get(Base.Orientation, 1) != 1


def _rows_at_once(image: Image.Image) -> int:
    """Of a compressed TIFF: the rows that its decoder holds besides."""
    tags: Any = getattr(image, "tag_v2", {})
    if image.format != "TIFF" or getattr(image, "tile", ["raw"])[0][0] == "raw":
        return 0
    return min(image.height, int(tags.get(TILE_ROWS) or tags.get(STRIP_ROWS) or image.height))


def _from_memory(image: Image.Image) -> Image.Image:
    _check(image)
    image = ImageOps.exif_transpose(image)
    image.load()
    if image.mode.startswith("I;16"):
        image = Image.fromarray(scale(np.asarray(image).astype(np.uint16), ()))
    return _to_colours(image)


def _check(image: Image.Image) -> None:
    check_sides(*image.size)
    if image.mode in ("F", "I"):
        raise UnreadableImageError("32-bit pixels, whose range is not known: expected 8 or 16 bits")


def _to_colours(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        # Of a large image a grey one takes a quarter.
        same = "L" if image.mode in ("1", "L") else "RGB"
        return image if image.mode == same else image.convert(same)
    black = Image.new("RGB", image.size)
    # Some rows at a time, for an image may be large.
    for rows in in_rows(image.height):
        part = image.crop((0, rows.start, image.width, rows.stop)).convert("RGBA")
        ground = Image.new("RGBA", part.size, (0, 0, 0, 255))
        black.paste(Image.alpha_composite(ground, part).convert("RGB"), (0, rows.start))
    return black
