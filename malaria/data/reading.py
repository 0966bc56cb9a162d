"""reading: read each of many samples once, in threads, and tell what was found."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from malaria.base.machine import usable_cores
from malaria.data.dataset import Sample
from malaria.data.duplicates import digest_pixels
from malaria.pictures.images import PixelFormat, UnreadableImageError, open_image, read_image

# This many images are given to the threads at a time: Ctrl-C waits for no more than these.
CHUNK = 256


class Found(NamedTuple):
    """What reading a sample gave: the content of a Sample, or why there is none."""

    content: str | None
    reason: str | None = None


def read_all(
    stored: np.ndarray | None, samples: Sequence[Sample], pixel_format: PixelFormat
) -> list[Found]:
    """Read every sample into its row of `stored`, if there is one, and tell what was found."""

    def read(row: int) -> Found:
        try:
            image = open_image(samples[row].path)
            if stored is not None:
                stored[row] = read_image(image, pixel_format)
        except UnreadableImageError as error:
            return Found(None, str(error))
        return Found(digest_pixels(image))

    found: list[Found] = []
    with (
        ThreadPoolExecutor(usable_cores()) as threads,
        # None: a bar on a terminal only.
        tqdm(total=len(samples), desc="reading images", unit="", disable=None) as bar,
    ):
        for start in range(0, len(samples), CHUNK):
            rows = range(start, min(start + CHUNK, len(samples)))
            found += threads.map(read, rows)
            bar.update(len(rows))
    return found
