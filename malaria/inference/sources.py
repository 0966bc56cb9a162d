"""sources: what may be classified, from a caller's paths, images and arrays."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from PIL import Image

from malaria.base.errors import UsageError
from malaria.base.text import printable
from malaria.pictures.cell_in_field import CellInField
from malaria.pictures.folders import find_images, is_folder, not_empty
from malaria.pictures.images import Source, check_array
from malaria.pictures.limits import KINDS
from malaria.pictures.remote_path import PATHS, AnyPath, FilePath, to_path

EXPECTED = "a path, a PIL image, a uint8 array, or a list of them"


def list_sources(source: Source | Iterable[Source]) -> list[Source]:
    """The single images that `source` means, in order; see Classifier.classify.

    Raises UsageError for what is no image and for nothing at all, UserError for a folder without
    images.
    """
    if isinstance(source, (str, *PATHS)):
        path = _path(source)
        if isinstance(path, CellInField) or not is_folder(path):
            return [path]
        return [*find_some(path)]
    if isinstance(source, np.ndarray) and source.ndim == 4:
        check_batch(source)
        return list(source)
    if isinstance(source, (np.ndarray, Image.Image)):
        return [_check(source)]
    if not isinstance(source, Iterable):
        raise UsageError(f"expected {EXPECTED}; received {type(source).__name__}")
    images = [_check(one) for one in source]
    if not images:
        raise UsageError(f"expected {EXPECTED}; received an empty {type(source).__name__}")
    return images


def find_some(folder: FilePath) -> Iterator[FilePath]:
    """An iterator over the images in `folder`. Raises UserError at once if there are none."""
    return not_empty(find_images(folder), f"no images in {printable(folder)}: expected {KINDS}")


def check_batch(images: Any) -> None:
    """Raise UsageError unless this is (n, height, width, 3), uint8, of at least one image."""
    if not isinstance(images, np.ndarray):
        raise UsageError(f"expected a uint8 array; received {type(images).__name__}")
    if images.ndim != 4 or images.shape[3] != 3 or 0 in images.shape:
        raise UsageError(
            f"expected a batch (n, height, width, 3) of images; received {images.shape}"
        )
    check_array(images[0])


def _path(name: str | AnyPath) -> AnyPath:
    if name == "":  # otherwise pathlib's name of the current folder
        raise UsageError(f"expected {EXPECTED}; received an empty name")
    return to_path(name)


def _check(image: Any) -> Source:
    if isinstance(image, (str, *PATHS)):
        return _path(image)
    if not isinstance(image, (np.ndarray, Image.Image)):
        raise UsageError(f"expected {EXPECTED}; received a list with {type(image).__name__} in it")
    if isinstance(image, np.ndarray):
        check_array(image)
    return image
