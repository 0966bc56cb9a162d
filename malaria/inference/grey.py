"""grey: images without colours, of which a network that learnt from coloured ones knows little."""

from collections.abc import Mapping

import numpy as np

# The most that the channels of a grey pixel differ: lossy WebP makes 1 of none. Of 20,000 stained
# cells of six laboratories none is so grey, in the rows that are looked at.
SAME, ROWS = 3, 8
NOTE = "grey: this model learnt colours"


def find_grey(images: np.ndarray) -> np.ndarray:
    """Whether each image of (n, height, width, 3), uint8, has no colours; (n,), bool."""
    # One row tells most that have colours, and some tell the others: it costs next to nothing.
    height = images.shape[1]
    grey = _is_grey(images[:, height // 2 : height // 2 + 1])
    grey[grey] = _is_grey(images[grey, :: max(1, height // ROWS)])
    return grey


def _is_grey(pixels: np.ndarray) -> np.ndarray:
    """Of (n, rows, width, 3), uint8: (n,), bool."""
    red, green, blue = (pixels[..., band] for band in range(3))
    most = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    return np.asarray((most <= SAME).all(axis=(1, 2)))


def describe_notes(notes: Mapping[str | None, int], thing: str) -> list[str]:
    """Lines for people about predictions; notes: how many readable ones have each note or none."""
    if not (count := notes.get(NOTE, 0)):
        return []
    return [
        f"{count:,} of {sum(notes.values()):,} {thing}s are grey, and this model learnt colours: "
        "on such cells it misses more; use images in colour, or a model trained on grey ones"
    ]
