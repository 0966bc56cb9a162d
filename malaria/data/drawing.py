"""drawing: one stained red cell, with or without parasites, as an image and a mask.

On black, in the manner of the NLM thin blood smears, from whose cells the colours and sizes here
were measured.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

SMALLEST_SIDE, LARGEST_SIDE = 60, 200  # pixels
OUTLINE_STEP = 3  # pixels; the real outlines are stairs, segmented at a coarser scale
VISIBLE = 0.12  # the opacity from which a stain counts as drawn

# Groups of patients whose stain is alike: RGB 0..255 of their cells, and their share.
STAINS = ((206, 147, 147), (192, 145, 147), (206, 159, 153), (174, 166, 182), (150, 134, 174))
SHARES = (0.28, 0.15, 0.16, 0.32, 0.09)
# RGB of a parasite as a linear function of its cell's (R, G, B, 1): a fit to the darkest pixels of
# 1,900 cells, then darkened, since no parasite is painted fully opaque.
PARASITE = ((0.60, 0.0, 0.0, 32), (-0.28, 0.55, 0.17, -28), (-0.35, 0.21, 0.80, 37))

# Two numbers, x and y.
Place = Sequence[float] | np.ndarray


class Stain(NamedTuple):
    """One patient's colours, each (3,), float, RGB 0..255."""

    cell: np.ndarray
    parasite: np.ndarray
    clear: np.ndarray  # where the cell is thin: its rim and its central pallor


class Canvas(NamedTuple):
    """An image being painted. Places and lengths are in half sides: x and y run from -1 to 1."""

    rng: np.random.Generator
    stain: Stain
    image: np.ndarray  # (height, width, 3), float32, RGB 0..255
    x: np.ndarray  # (1, width)
    y: np.ndarray  # (height, 1)
    wobble: np.ndarray  # (height, width), smooth noise of about 0.12 that makes shapes irregular

    def blob(
        self, centre: Place, radii: Place, *, angle: float = 0.0, softness: float = 0.6
    ) -> np.ndarray:
        """Opacity (height, width), 0..1, of an ellipse whose edge is `softness` radii wide."""
        x, y = self.x - centre[0], self.y - centre[1]
        along = (x * np.cos(angle) + y * np.sin(angle)) / radii[0]
        across = (y * np.cos(angle) - x * np.sin(angle)) / radii[1]
        distance = np.sqrt(along**2 + across**2) + self.wobble
        return ((1 - distance) / softness + 0.5).clip(0, 1)

    def dot(self, centre: Place, smallest: float, largest: float) -> np.ndarray:
        """Opacity of a dot of chromatin, whose radius is random between these two."""
        radii = self.rng.uniform(smallest, largest) * np.array([1, self.rng.uniform(0.5, 1)])
        return self.blob(centre, radii, angle=self.rng.uniform(0, np.pi), softness=0.9)

    def paint(self, opacity: np.ndarray, colour: np.ndarray | Sequence[float]) -> None:
        """Mix `colour` (RGB) into the image as `opacity` (height, width) says."""
        self.image[:] += opacity[..., None] * (np.asarray(colour, np.float32) - self.image)


def draw_stain(rng: np.random.Generator) -> Stain:
    """One patient's Stain."""
    cell = rng.choice(STAINS, p=SHARES) + rng.normal(0, (6, 6, 4))
    parasite = np.array(PARASITE) @ [*cell, 1] + rng.normal(0, (8, 8, 6))
    blueness = np.clip((205 - cell[0]) / 50, 0, 1)
    clear = (1 - blueness) * np.array([222, 181, 160]) + blueness * np.array([210, 212, 204])
    return Stain(cell, parasite.clip(15, 255), clear)


def draw_cell(
    rng: np.random.Generator, *, parasitized: bool, stain: Stain
) -> tuple[np.ndarray, np.ndarray]:
    """An image (height, width, 3), uint8, RGB, and its mask (height, width), bool.

    Sides are 60..200 pixels. The mask is True where a parasite was drawn: nowhere in an
    uninfected cell.
    """
    canvas = _start_canvas(rng, stain)
    depth = _outline_depth(canvas)
    inside = (_stairs(depth) > 0) & (canvas.x**2 + canvas.y**2 < 1.75)  # keeps the corners black
    _draw_body(canvas, depth)
    mask = np.zeros(inside.shape, bool)
    if parasitized:
        mask = inside & _draw_parasites(canvas, inside & (depth > 0.12))
    canvas.image[:] += rng.uniform(1, 2.2) * _smooth_noise(rng, inside.shape, 3)[..., None]
    return (canvas.image.clip(0, 255) * inside[..., None]).astype(np.uint8), mask


def _start_canvas(rng: np.random.Generator, stain: Stain) -> Canvas:
    """A Canvas of random size, all in the colour of one cell of the patient."""
    height = rng.normal(130, 20)
    sides = np.array([height, height * np.exp(rng.normal(0, 0.1))])
    height, width = sides.clip(SMALLEST_SIDE, LARGEST_SIDE).round().astype(int)
    colour = stain.cell + rng.normal(0, 4) + rng.normal(0, 3, 3)
    return Canvas(
        rng,
        stain,
        image=np.full((height, width, 3), colour, np.float32),
        x=np.linspace(-1, 1, width, dtype=np.float32)[None],
        y=np.linspace(-1, 1, height, dtype=np.float32)[:, None],
        wobble=0.12 * _smooth_noise(rng, (height, width), 14),
    )


def _smooth_noise(rng: np.random.Generator, shape: Sequence[int], scale: int) -> np.ndarray:
    """Noise (height, width) = `shape`, float32, deviation about 1, smooth over `scale` pixels."""
    coarse = rng.standard_normal([side // scale + 2 for side in shape], dtype=np.float32)
    return np.asarray(
        Image.fromarray(coarse).resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    )


def _outline_depth(canvas: Canvas) -> np.ndarray:
    """The depth in the cell of each pixel (height, width): 1 in its middle, below 0 outside.

    The outline is a wavy circle, at times with a bite or a spur where cells overlapped.
    """
    rng = canvas.rng
    angles = np.linspace(-np.pi, np.pi, 361)
    waves = np.arange(2, 16)[:, None]
    sizes = 0.22 * waves**-1.7 * rng.lognormal(0, 0.4) * rng.standard_normal(waves.shape)
    radius = 1 + (sizes * np.cos(waves * angles + rng.uniform(0, 6.3, waves.shape))).sum(0)
    for low, high in ((-0.5, -0.2), (0.1, 0.3)):
        if rng.random() < 0.15:
            turn = np.angle(np.exp(1j * (angles - rng.uniform(-np.pi, np.pi))))
            radius += rng.uniform(low, high) * np.exp(-((turn / 0.3) ** 2))
    radius = radius.clip(0.4)
    x = _stretch(canvas.x, radius * np.cos(angles))
    y = _stretch(canvas.y, radius * np.sin(angles))
    return 1 - np.hypot(x, y) / np.interp(np.arctan2(y, x), angles, radius).astype(np.float32)


def _stretch(axis: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """Map `axis`, -1..1, to the extent of `outline`: the cell touches the image's edges."""
    return ((axis + 1) * np.ptp(outline) / 2 + outline.min()).astype(np.float32)


def _stairs(field: np.ndarray) -> np.ndarray:
    """`field` (height, width) in squares of OUTLINE_STEP pixels, each with its middle's value."""
    steps = [np.arange(side) // OUTLINE_STEP * OUTLINE_STEP + 1 for side in field.shape]
    return field[np.ix_(*(np.minimum(step, step.size - 1) for step in steps))]


def _draw_body(canvas: Canvas, depth: np.ndarray) -> None:
    """Uneven light, a pale rim, in half of the cells a pale middle, in some harmless specks."""
    rng, stain = canvas.rng, canvas.stain
    slope = rng.normal(0, 3.5, 2)
    light = slope[0] * canvas.x + slope[1] * canvas.y + rng.uniform(5, 18) * canvas.wobble
    canvas.image[:] += light[..., None]
    rim = np.exp(-depth.clip(0) / rng.uniform(0.05, 0.16))
    canvas.paint(rim * rng.beta(1.8, 2), stain.clear)
    if rng.random() < 0.5:
        pallor = canvas.blob(rng.normal(0, 0.1, 2), rng.uniform(0.25, 0.5, 2), softness=1.4)
        canvas.paint(pallor * rng.beta(1.2, 3), stain.clear)
    for _ in range(rng.choice(4, p=(0.6, 0.2, 0.1, 0.1))):
        speck = canvas.blob(rng.uniform(-0.65, 0.65, 2), rng.uniform(0.02, 0.06, 2))
        canvas.paint(speck * rng.uniform(0.08, 0.3), stain.parasite)
    if rng.random() < 0.06:
        smudge = canvas.blob(rng.uniform(-0.6, 0.6, 2), rng.uniform(0.07, 0.15, 2), softness=1)
        canvas.paint(smudge * rng.uniform(0.05, 0.14), stain.parasite)


def _draw_parasites(canvas: Canvas, room: np.ndarray) -> np.ndarray:
    """Draw one to three parasites; returns where (height, width), bool.

    Each begins at a pixel of `room` (height, width), bool, otherwise it could be cut away.
    """
    rng = canvas.rng
    rows, columns = np.nonzero(room)
    mask = np.zeros(room.shape, bool)
    for place in rng.choice(len(rows), rng.choice((1, 2, 3), p=(0.68, 0.24, 0.08))):
        anchor = np.array([canvas.x[0, columns[place]], canvas.y[rows[place], 0]])
        draw = (_draw_ring, _draw_trophozoite, _draw_schizont)[rng.choice(3, p=(0.69, 0.27, 0.04))]
        opacity = draw(canvas, anchor) * rng.uniform(0.75, 1)
        canvas.paint(opacity, canvas.stain.parasite)
        mask |= opacity > VISIBLE
    return mask


def _draw_ring(canvas: Canvas, anchor: np.ndarray) -> np.ndarray:
    """Opacity of a young parasite: a faint ring about a pale vacuole, with a dot or two."""
    rng = canvas.rng
    radii = rng.uniform(0.14, 0.32) * rng.uniform(0.75, 1, 2)
    inward = np.arctan2(-anchor[1], -anchor[0]) + rng.normal(0, 0.8)
    centre = anchor + radii * (np.cos(inward), np.sin(inward))
    vacuole = canvas.blob(centre, 0.85 * radii, softness=0.4)
    canvas.paint(vacuole * rng.uniform(0, 0.25), canvas.stain.clear)
    ring = canvas.blob(centre, 1.15 * radii, softness=0.3) * (1 - vacuole)
    opacity = np.maximum(ring * rng.uniform(0.1, 0.4), canvas.dot(anchor, 0.07, 0.12))
    if rng.random() < 0.2:
        opacity = np.maximum(opacity, canvas.dot(anchor + rng.normal(0, 0.17, 2), 0.06, 0.1))
    return opacity


def _draw_trophozoite(canvas: Canvas, anchor: np.ndarray) -> np.ndarray:
    """Opacity of a grown parasite: a compact uneven body with a darker nucleus."""
    rng = canvas.rng
    radii = rng.uniform(0.12, 0.24) * np.array([1, rng.uniform(0.35, 0.9)])
    body = canvas.blob(anchor, radii, angle=rng.uniform(0, np.pi), softness=0.8)
    body *= (rng.uniform(0.45, 0.75) + 1.2 * canvas.wobble).clip(0, 1)
    return np.maximum(body, canvas.dot(anchor, 0.07, 0.12))


def _draw_schizont(canvas: Canvas, anchor: np.ndarray) -> np.ndarray:
    """Opacity of a dividing parasite: a cluster of dots about brownish pigment."""
    rng = canvas.rng
    opacity = canvas.blob(anchor, (0.26, 0.24), softness=1) * 0.3
    for centre in anchor + rng.normal(0, 0.12, (rng.integers(6, 13), 2)):
        opacity = np.maximum(opacity, canvas.dot(centre, 0.05, 0.08))
    canvas.paint(canvas.blob(anchor, (0.09, 0.07)) * 0.7, (96, 52, 48))
    return opacity
