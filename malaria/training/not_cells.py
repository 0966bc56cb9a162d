"""not_cells: draw images that are no single cell, of cells and of nothing at all.

Everywhere: cells (n, side, side, 3), uint8, RGB, on black or on a background; rng: a
numpy.random.RandomState, whose streams never change; results (side, side, 3), float, 0..1.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from PIL import Image
from scipy import ndimage

# The size of one of several cells, in sides of the image.
SMALLEST, LARGEST = 0.12, 0.62
# So many different cells an image is made of, and so many it holds at most.
KINDS_OF_CELLS, MOST_CELLS = 8, 90
# Up to this, 0..1, in every channel a pixel is surround.
BLACK = 0.03


def draw_several(cells: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """Some to many small cells on one background, as in a field, of more or less contrast."""
    side = cells.shape[1]
    ground = _light(rng) if rng.rand() < 0.8 else rng.uniform(0, 0.1)
    image = np.ones((side, side, 3)) * ground
    scale = np.exp(rng.uniform(np.log(SMALLEST), np.log(LARGEST)))
    size, tint = max(3, int(side * scale)), rng.uniform(0.8, 1.2, 3)
    shapes = [_shrink(cell, size) * tint for cell in _choose(cells, rng, KINDS_OF_CELLS)]
    for _ in range(min(MOST_CELLS, int(rng.uniform(0.3, 1.1) / scale**2) + 2)):
        place = rng.randint(-size // 2, side - size // 2, 2)
        _paste(image, shapes[rng.randint(len(shapes))], *place)
    contrast = rng.uniform(0.25, 1) if rng.rand() < 0.6 else 1
    return np.clip(ground + contrast * (image - ground), 0, 1)


def draw_none(cells: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """A background, a plain colour, noise, shapes, text or waves, some of them blurred or grey."""
    side = cells.shape[1]
    if rng.rand() < 0.33:
        return _background(cells, rng)
    pattern = PATTERNS[rng.randint(len(PATTERNS))]
    image = pattern(side, 1 if rng.rand() < 0.4 else 3, rng) * np.ones((side, side, 3))
    if rng.rand() < 0.4:
        image = ndimage.gaussian_filter(image, (rng.uniform(0.2, 1.5),) * 2 + (0,))
    return np.clip(image, 0, 1)


def _background(cells: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """A light field with at most the edges of cells at its sides."""
    side = cells.shape[1]
    image = np.ones((side, side, 3)) * _light(rng)
    for cell in _choose(cells, rng, rng.randint(4)):
        angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(0.7, 1.0) * side
        _paste(image, cell / 255, *(int(distance * f(angle)) for f in (np.sin, np.cos)))
    return np.clip(image + 0.02 * rng.rand() * rng.randn(side, side, 3), 0, 1)


def _choose(cells: np.ndarray, rng: np.random.RandomState, count: int) -> np.ndarray:
    return cells[rng.randint(len(cells), size=count)]


def _light(rng: np.random.RandomState) -> np.ndarray:
    least = rng.uniform(0.6, 1)
    return least + (1 - least) * rng.uniform(0, 1, 3)


def _shrink(cell: np.ndarray, size: int) -> np.ndarray:
    return np.asarray(Image.fromarray(cell).resize((size, size), Image.Resampling.BILINEAR)) / 255


def _paste(image: np.ndarray, cell: np.ndarray, top: int, left: int) -> None:
    """Put what is not surround, within the inscribed circle, onto the image; parts may be out."""
    side, size = len(image), len(cell)
    rows = slice(max(top, 0), min(top + size, side))
    columns = slice(max(left, 0), min(left + size, side))
    part = np.s_[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    places = (np.arange(size) + 0.5) / size * 2 - 1
    shown = (np.hypot(places[:, None], places) <= 1) & (cell.max(axis=-1) > BLACK)
    image[rows, columns][shown[part]] = cell[part][shown[part]]


def _plain(side: int, channels: int, rng: np.random.RandomState) -> np.ndarray:
    return np.ones((side, side, 1)) * rng.uniform(0, 1, channels)


def _noise(side: int, channels: int, rng: np.random.RandomState) -> np.ndarray:
    return rng.uniform(0, 1, channels) + rng.uniform(0.05, 0.4) * rng.randn(side, side, channels)


def _clouds(side: int, channels: int, rng: np.random.RandomState) -> np.ndarray:
    """Noise of every size, as many photographs have it."""
    sizes = [2**power for power in range(1, int(np.log2(side)) + 1)]
    layers = [
        ndimage.zoom(rng.randn(size, size, channels), (side / size, side / size, 1), order=1)
        * rng.uniform(0.5, 0.9) ** number
        for number, size in enumerate(sizes)
    ]
    total: np.ndarray = np.sum(layers, axis=0)
    return (total - total.min()) / max(np.ptp(total), 1e-6)


def _photograph(side: int, channels: int, rng: np.random.RandomState) -> np.ndarray:
    """A part of one of the two photographs that scikit-learn ships, in other colours."""
    image = _photographs()[rng.randint(2)]
    size = int(np.exp(rng.uniform(np.log(24), np.log(min(image.shape[:2])))))
    top, left = (rng.randint(length - size + 1) for length in image.shape[:2])
    part = np.rot90(image[top : top + size, left : left + size], rng.randint(4))
    colours = rng.dirichlet(np.ones(3), channels).T
    mixed = _shrink(np.ascontiguousarray(part), side) @ colours
    return 1 - mixed if rng.rand() < 0.3 else mixed


@cache
def _photographs() -> list[np.ndarray]:
    from sklearn.datasets import load_sample_images

    return list(load_sample_images().images)


def _gradient(side: int, channels: int, rng: np.random.RandomState) -> np.ndarray:
    ramp = _ramp(side, rng.uniform(0, 2 * np.pi))
    return _mix((ramp - ramp.min()) / np.ptp(ramp), channels, rng)


def _shapes(side: int, channels: int, rng: np.random.RandomState) -> np.ndarray:
    """Discs and boxes that lie on each other, the dead leaves of Lee, Mumford and Huang 2001."""
    image = _plain(side, channels, rng)
    rows, columns = np.mgrid[:side, :side]
    for _ in range(rng.randint(5, 80)):
        row, column = rng.uniform(0, side, 2)
        radius = side / 2 * rng.uniform(0.05, 1) ** 2
        box = np.maximum(np.abs(rows - row), np.abs(columns - column) * rng.uniform(0.3, 3))
        disc = np.hypot(rows - row, columns - column)
        image[(disc if rng.rand() < 0.5 else box) < radius] = rng.uniform(0, 1, channels)
    return image


def _text(side: int, channels: int, rng: np.random.RandomState) -> np.ndarray:
    """Lines of small boxes, dark on light or the reverse."""
    is_dark = rng.rand() < 0.7
    image = np.ones((side, side, channels)) * (rng.uniform(0.8, 1) if is_dark else 0.1)
    ink = rng.uniform(0, 0.4, channels) if is_dark else rng.uniform(0.6, 1, channels)
    line = rng.randint(3, max(4, side // 4))
    for row in range(rng.randint(line), side, line):
        column = rng.randint(3)
        while column < side:
            width, height = rng.randint(1, 4), rng.randint(1, max(2, line))
            image[row : row + height, column : column + width] = ink
            column += width + rng.randint(1, 4)
    return image


def _waves(side: int, channels: int, rng: np.random.RandomState) -> np.ndarray:
    """Stripes, or squares where two cross."""
    angle, step = rng.uniform(0, np.pi), rng.uniform(0.1, 2.5)
    share = 0.5 + 0.5 * np.sin(step * _ramp(side, angle) + rng.uniform(0, 6))
    if rng.rand() < 0.5:
        share = share * (0.5 + 0.5 * np.sin(step * _ramp(side, angle + np.pi / 2)))
    return _mix(share, channels, rng)


def _ramp(side: int, angle: float) -> np.ndarray:
    rows, columns = np.mgrid[:side, :side]
    return np.asarray(np.cos(angle) * columns + np.sin(angle) * rows)


def _mix(share: np.ndarray, channels: int, rng: np.random.RandomState) -> np.ndarray:
    one, other = rng.uniform(0, 1, channels), rng.uniform(0, 1, channels)
    return share[..., None] * one + (1 - share[..., None]) * other


# (side, channels, rng) -> (side, side, channels or 3).
Pattern = Callable[[int, int, np.random.RandomState], np.ndarray]
PATTERNS: list[Pattern] = [
    *(_plain, _noise, _clouds, _gradient, _shapes, _text, _waves),
    *(_photograph, _photograph, _photograph),  # the most varied
]
