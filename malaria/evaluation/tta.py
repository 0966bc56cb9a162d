"""tta: test-time augmentation, the mean of a network's answers to eight views of an image.

The views are the quarter turns of a square image and their mirror images: a cell may lie on the
slide in any direction. Krizhevsky et al. 2012 averaged so over other views.
"""

from collections.abc import Iterable

import numpy as np

VIEWS = range(8)


def turn(images: np.ndarray, view: int) -> np.ndarray:
    """Square images (n, side, side, channels) turned `view` % 4 quarters; from 4 on mirrored too.

    Contiguous, of the same shape and type.
    """
    turned = np.rot90(images, view % 4, axes=(1, 2))
    return np.ascontiguousarray(turned[:, :, ::-1] if view >= 4 else turned)


def average(answers: Iterable[np.ndarray]) -> np.ndarray:
    """The mean, float32, of the answers to each view: arrays of one shape, which it keeps."""
    return np.asarray(np.mean(list(answers), axis=0, dtype=np.float32))
