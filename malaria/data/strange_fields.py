"""strange_fields: draw fields as of a laboratory that no model knows, with the truth in a table.

Bluish stain, cells that overlap, cells with spikes all round (crenated, echinocytes): what makes a
model count too many parasites. By them docs/laboratory.md shows how labels of one's own help.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from malaria.base.files import make_folder, write_csv
from malaria.data.dataset import LABELS
from malaria.data.drawing import Stain, draw_cell, draw_stain
from malaria.data.drawn_cells import check_drawing, save_drawn
from malaria.data.tables import BOX_COLUMNS
from malaria.pictures.box import Box

# Of a field: width and height, pixels, and cells; of a cell its side, and the smallest distance
# between two middles, in sides: from 1 down they touch and overlap.
SIZE, CELLS, SIDE, APART = (1200, 900), 70, 78, 0.82
PARASITIZED, CRENATED = 0.06, 0.25
BACKGROUND = np.array((206, 214, 228), np.float32)
# The stain of the others, RGB, times this: less red, more blue.
TINT = np.array((0.86, 1.0, 1.12))
TRIES = 200


def write_strange_fields(
    folder: Path | str, count: int, *, seed: int = 0, patients: int = 4
) -> list[Path]:
    """Write `count` fields as `folder/C<patient>P...png`, and folder/truth.csv; returns the fields.

    truth.csv has a row for each cell, as --boxes takes it: path, box, label. The same arguments
    give the same bytes. Raises what drawn_cells.write_cells raises.
    """
    target, paths, rows = Path(folder), [], []
    check_drawing(count, patients, seed, [target])
    make_folder(target, target)
    for number in range(count):
        rng, patient = np.random.default_rng([seed, 5, number]), number % patients
        stain = _tinted(draw_stain(np.random.default_rng([seed, 4, patient])))
        field, cells = draw_strange_field(rng, stain)
        paths.append(save_drawn(field, target, "strange_field", patient, number))
        rows += [
            [paths[-1].name, box.left, box.top, box.width, box.height, LABELS[0 if sick else 1]]
            for box, sick in cells
        ]
    write_csv(target / "truth.csv", ["path", *BOX_COLUMNS, "label"], rows)
    return paths


def draw_strange_field(
    rng: np.random.Generator, stain: Stain
) -> tuple[Image.Image, list[tuple[Box, bool]]]:
    """A field, and of each cell where it lies and whether it is parasitized.

    Where cells overlap, their transmittances multiply, as on a slide.
    """
    light = np.ones((SIZE[1], SIZE[0], 3), np.float32)
    cells: list[tuple[Box, bool]] = []
    for _ in range(CELLS):
        side = int(SIDE * rng.uniform(0.88, 1.12))
        if (place := _find_room(rng, side, [box for box, _ in cells])) is None:
            continue
        sick, (left, top) = bool(rng.random() < PARASITIZED), place
        rows, columns = slice(top, top + side), slice(left, left + side)
        light[rows, columns] *= _draw_transmittance(rng, stain, side, sick)
        cells.append((Box(left, top, side, side), sick))
    pixels = light * BACKGROUND + rng.normal(0, 1.5, light.shape)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), cells


def _tinted(stain: Stain) -> Stain:
    return Stain(*(colour * TINT for colour in stain))


def _find_room(rng: np.random.Generator, side: int, others: list[Box]) -> tuple[int, int] | None:
    """(left, top) of a cell whose middle is far enough from those of the others, or None."""
    middles = np.array([(one.left + one.width / 2, one.top + one.height / 2) for one in others])
    for _ in range(TRIES):
        place = rng.integers(0, (SIZE[0] - side, SIZE[1] - side))
        distances = np.hypot(*(middles.reshape(-1, 2) - place - side / 2).T)
        if not (distances < APART * SIDE).any():
            return int(place[0]), int(place[1])
    return None


def _draw_transmittance(
    rng: np.random.Generator, stain: Stain, side: int, parasitized: bool
) -> np.ndarray:
    """What a cell leaves of the light, (side, side, 3), 0..1; 1 around it."""
    pixels, _ = draw_cell(rng, parasitized=parasitized, stain=stain)
    cell = np.asarray(Image.fromarray(pixels).resize((side, side)), np.float32)
    shape = np.asarray(Image.fromarray(pixels.any(axis=2)).resize((side, side)), np.float32)
    if rng.random() < CRENATED:
        cell, shape = _crenate(rng, cell, shape)
    left = np.where(shape[..., None] > 0, cell / BACKGROUND, 1)
    return left.clip(0.02, 1)


def _crenate(
    rng: np.random.Generator, cell: np.ndarray, shape: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The cell with spikes all round and a mottled surface."""
    y, x = np.mgrid[-1 : 1 : len(cell) * 1j, -1 : 1 : len(cell) * 1j]
    angle, distance = np.arctan2(y, x), np.hypot(x, y)
    uneven = angle + 0.2 * np.sin(2 * angle + rng.uniform(0, 6))
    rim = 0.88 + 0.06 * np.cos(rng.integers(11, 20) * uneven)
    dark = np.zeros(shape.shape)
    for dot_x, dot_y in rng.uniform(-0.6, 0.6, (rng.integers(8, 16), 2)):
        dark = np.maximum(dark, (1.3 - np.hypot(x - dot_x, y - dot_y) / 0.1).clip(0, 1))
    mottled = cell * (1 - rng.uniform(0.08, 0.3) * dark[..., None])
    return mottled, shape * (distance < rim)
