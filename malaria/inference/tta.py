"""views: the eight quarter turns and flips of square pictures, over which answers can be averaged.

A cell lies on the slide in any direction, so all eight are the same question (test-time
augmentation, as in Krizhevsky et al. 2012 with other views).
"""

import numpy as np

VIEWS = range(8)


def turn(images, view):
    """View 0..7 of (n, side, side, channels): four quarter turns, then these mirrored; 0 as is."""
    turned = np.rot90(images, view % 4, axes=(1, 2))
    return np.ascontiguousarray(turned[:, :, ::-1] if view >= 4 else turned)


def average(answers):
    """The mean of an array for each view."""
    return np.mean(list(answers), axis=0, dtype=np.float32)
