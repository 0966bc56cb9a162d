"""drawing: one stained red cell, with or without parasites, as an image and a mask.

On black, in the manner of the NLM thin blood smears, from whose cells the colours and sizes here
were measured.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

SMALLEST_SIDE, LARGEST_SIDE = 60, 200  # pixels
VISIBLE = 0.12  # the opacity from which a stain counts as drawn

# Groups of patients whose stain is alike: RGB 0..255 of their cells.
STAINS = ((206, 147, 147), (192, 145, 147), (206, 159, 153), (174, 166, 182), (150, 134, 174))
# RGB of a parasite as a linear function of its cell's (R, G, B, 1): a fit to the darkest pixels of
# 1,900 cells, then darkened, since no parasite is painted fully opaque.
PARASITE = ((0.60, 0.0, 0.0, 32), (-0.28, 0.55, 0.17, -28), (-0.35, 0.21, 0.80, 37))


class Stain(NamedTuple):
    """One patient's colours, each (3,), float, RGB 0..255."""

    cell: np.ndarray
    parasite: np.ndarray
    clear: np.ndarray  # where the cell is thin: its rim and its central pallor


class Canvas(NamedTuple):
    """An image being painted. Places and lengths are in half sides: x and y run from -1 to 1."""

    rng: np.random.Generator
    image: np.ndarray  # (height, width, 3), float32, RGB 0..255
    x: np.ndarray  # (1, width)
    y: np.ndarray  # (height, 1)

    def blob(self, centre: np.ndarray, radii: np.ndarray, softness: float) -> np.ndarray:
        """Opacity (height, width), 0..1, of an ellipse whose edge is `softness` radii wide."""
        distance = np.hypot((self.x - centre[0]) / radii[0], (self.y - centre[1]) / radii[1])
        return ((1 - distance) / softness + 0.5).clip(0, 1)

    def paint(self, opacity: np.ndarray, colour: np.ndarray) -> None:
        """Mix `colour` (RGB) into the image as `opacity` (height, width) says."""
        self.image[:] += opacity[..., None] * (colour - self.image)


def draw_stain(rng: np.random.Generator) -> Stain:
    """One patient's Stain."""
    cell = rng.choice(STAINS) + rng.normal(0, (6, 6, 4))
    parasite = np.array(PARASITE) @ [*cell, 1] + rng.normal(0, (8, 8, 6))
    return Stain(cell, parasite.clip(15, 255), clear=cell + 0.6 * (222 - cell))


def draw_cell(
    rng: np.random.Generator, *, parasitized: bool, stain: Stain
) -> tuple[np.ndarray, np.ndarray]:
    """An image (height, width, 3), uint8, RGB, and its mask (height, width), bool.

    Sides are 60..200 pixels. The mask is True where a parasite was drawn: nowhere in an
    uninfected cell.
    """
    canvas = _start_canvas(rng, stain)
    depth = _outline_depth(canvas)
    inside = (depth > 0) & (canvas.x**2 + canvas.y**2 < 1.75)  # keeps the corners black
    _draw_body(canvas, depth, stain)
    mask = np.zeros(inside.shape, bool)
    if parasitized:
        for _ in range(rng.choice((1, 2, 3), p=(0.68, 0.24, 0.08))):
            mask |= inside & _draw_parasite(canvas, inside & (depth > 0.12), stain)
    canvas.image[:] += rng.uniform(1, 2.2) * _smooth_noise(rng, inside.shape, 3)[..., None]
    return (canvas.image.clip(0, 255) * inside[..., None]).astype(np.uint8), mask


def _start_canvas(rng: np.random.Generator, stain: Stain) -> Canvas:
    height = rng.normal(130, 20)
    sides = np.array([height, height * np.exp(rng.normal(0, 0.1))])
    height, width = sides.clip(SMALLEST_SIDE, LARGEST_SIDE).round().astype(int)
    colour = stain.cell + rng.normal(0, 4) + rng.normal(0, 3, 3)
    image = np.full((height, width, 3), colour, np.float32)
    return Canvas(rng, image, np.linspace(-1, 1, width)[None], np.linspace(-1, 1, height)[:, None])


def _smooth_noise(rng: np.random.Generator, shape: Sequence[int], scale: int) -> np.ndarray:
    """Noise (height, width) = `shape`, float32, deviation about 1, smooth over `scale` pixels."""
    coarse = rng.standard_normal([side // scale + 2 for side in shape], dtype=np.float32)
    noise = Image.fromarray(coarse).resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(noise)


def _outline_depth(canvas: Canvas) -> np.ndarray:
    """The depth in the cell of each pixel (height, width): 1 in its middle, below 0 outside.

    The outline is a wavy circle that touches the image's edges.
    """
    angles, waves = np.linspace(-np.pi, np.pi, 361), np.arange(2, 12)[:, None]
    sizes = 0.22 * waves**-1.7 * canvas.rng.standard_normal(waves.shape)
    phases = canvas.rng.uniform(0, 2 * np.pi, waves.shape)
    radius = 1 + (sizes * np.cos(waves * angles + phases)).sum(axis=0).clip(-0.6)
    outline = radius * np.cos(angles), radius * np.sin(angles)
    x, y = (
        np.interp(axis, (-1, 1), (line.min(), line.max()))
        for axis, line in zip((canvas.x, canvas.y), outline, strict=True)
    )
    return 1 - np.hypot(x, y) / np.interp(np.arctan2(y, x), angles, radius)


def _draw_body(canvas: Canvas, depth: np.ndarray, stain: Stain) -> None:
    """Uneven light, a pale rim, in half of the cells a pale middle, in some harmless specks."""
    rng = canvas.rng
    light = rng.normal(0, 3.5) * canvas.x + rng.normal(0, 3.5) * canvas.y
    canvas.image[:] += (light + _smooth_noise(rng, depth.shape, 14))[..., None]
    rim = np.exp(-depth.clip(0) / rng.uniform(0.05, 0.16))
    canvas.paint(rim * rng.beta(1.8, 2), stain.clear)
    if rng.random() < 0.5:
        pallor = canvas.blob(rng.normal(0, 0.1, 2), rng.uniform(0.25, 0.5, 2), softness=1.4)
        canvas.paint(pallor * rng.beta(1.2, 3), stain.clear)
    for _ in range(rng.choice(4, p=(0.6, 0.2, 0.1, 0.1))):
        speck = canvas.blob(rng.uniform(-0.65, 0.65, 2), rng.uniform(0.02, 0.06, 2), softness=0.6)
        canvas.paint(speck * rng.uniform(0.08, 0.25), stain.parasite)


def _draw_parasite(canvas: Canvas, room: np.ndarray, stain: Stain) -> np.ndarray:
    """Draw a ring or a compact body; returns where, (height, width), bool.

    Its dot of chromatin lies at a pixel of `room`, otherwise it could be cut away.
    """
    rng = canvas.rng
    row, column = rng.choice(np.argwhere(room))
    dot = np.array([canvas.x[0, column], canvas.y[row, 0]])
    radii = rng.uniform(0.14, 0.3) * rng.uniform(0.6, 1, 2)
    inward = np.arctan2(*-dot[::-1]) + rng.normal(0, 0.8)
    centre = dot + radii * (np.cos(inward), np.sin(inward))
    body = canvas.blob(centre, radii, 0.5) * rng.uniform(0.3, 0.7)
    if rng.random() < 0.7:
        body *= 1 - canvas.blob(centre, 0.8 * radii, 0.5)
    opacity = np.maximum(body, canvas.blob(dot, rng.uniform(0.06, 0.12, 2), 0.9))
    canvas.paint(opacity * rng.uniform(0.75, 1), stain.parasite)
    return opacity > VISIBLE
