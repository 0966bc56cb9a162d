"""label_masks: the number of its cell at each pixel, as of Cellpose, StarDist and ImageJ."""

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from malaria.annotations.annotation_records import Content, Record, Rectangle
from malaria.base.errors import UserError
from malaria.base.text import printable
from malaria.pictures.limits import check_sides, open_regular
from malaria.pictures.tiff import open_pages

MASKS = (".png", ".tif", ".tiff", ".npy")
# What programs add to the name of an image for that of its mask.
OF_A_MASK = re.compile(r"(_cp_masks|[_-](masks?|labels?))$", re.IGNORECASE)
PICKLE = (
    "a pickle of Cellpose, which could run code, and is never opened: save the masks as PNG or TIFF"
)
# Numbers of a mask go up to this: one for each cell.
MAX_LABEL = 1_000_000


def find_masks(folder: Path, files: Sequence[Path]) -> list[Record]:
    """The records of label masks: of the files named so or, where none is, of all."""
    named = [path for path in files if OF_A_MASK.search(path.stem)]
    if not named and any(path.stem.endswith("_seg") for path in files):
        raise UserError(f"{printable(folder)}: _seg.npy is {PICKLE}")
    return [mask_of(path) for path in named or files]


def mask_of(path: Path) -> Record:
    """The record of one label mask. Raises UserError for a pickle."""
    if path.name.endswith("_seg.npy"):
        raise UserError(f"{printable(path)}: {PICKLE}")
    name = OF_A_MASK.sub("", path.stem)
    content = partial(_read_mask, path)
    return Record(name, path.with_name(name), content, by_stem=True, file=path)


def _read_mask(path: Path) -> Content:
    from scipy import ndimage

    try:
        mask = _labels_of(_open_mask(path))
    except Exception as error:  # decoders fail on damaged files in many ways
        reason = error if isinstance(error, UserError) else type(error).__name__
        raise UserError(f"{printable(path)} is no label mask: {reason}") from None
    places = enumerate(ndimage.find_objects(mask), start=1)
    found = [(number, place) for number, place in places if place is not None]
    if len(found) == 1 and ndimage.label(mask)[1] > 1:
        raise UserError(
            f"{printable(path)} has one number for several cells: expected one for each cell, as "
            "of Fiji's Connected Components Labeling"
        )
    boxes = [Rectangle(x.start, y.start, x.stop - x.start, y.stop - y.start) for _, (y, x) in found]
    return Content(boxes, (mask.shape[1], mask.shape[0]))


def _open_mask(path: Path) -> Any:
    """The numbers of a mask as they are in the file, of a size that is allowed."""
    with open_regular(path) as file:
        if path.suffix.lower() == ".npy":
            file.close()
            mask = np.load(path, mmap_mode="r", allow_pickle=False)
            _check(mask.shape)
            return mask
        if path.suffix.lower() == ".png":
            with Image.open(file, formats=("PNG",)) as image:
                _check((image.height, image.width, len(image.getbands())))
                return np.asarray(image)
        with open_pages(path, file) as tiff:
            series = tiff.series[0]
            _check(series.shape)
            return series.asarray(maxworkers=1)


def _check(shape: Sequence[int]) -> None:
    sides = [side for side in shape if side != 1] if len(shape) > 2 else [*shape]
    if len(sides) != 2:
        told = " x ".join(map(str, shape))
        raise UserError(f"expected one number for each pixel, received {told}")
    check_sides(sides[1], sides[0])


def _labels_of(mask: Any) -> np.ndarray:
    """(height, width), whole numbers from 0 to MAX_LABEL."""
    mask = np.asarray(mask)
    if mask.ndim > 2:
        mask = mask.squeeze()
    if mask.dtype.kind not in "buif" or not mask.size:
        raise UserError(f"expected whole numbers, received {mask.dtype}")
    low, high = mask.min(), mask.max()
    if not 0 <= low <= high <= MAX_LABEL:
        raise UserError(f"expected numbers from 0 to {MAX_LABEL:,}, received {low} to {high}")
    whole: np.ndarray = mask.astype(np.int32)
    if mask.dtype.kind == "f" and (whole != mask).any():
        raise UserError("expected whole numbers, received fractions")
    return whole
