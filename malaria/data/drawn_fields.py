"""drawn_fields: draw whole fields of stained cells, for tests and a first try."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
from PIL import Image

from malaria.data.drawing import Stain, draw_cell
from malaria.data.drawn_cells import check_empty, check_numbers, draw_stains
from malaria.pictures.box import Box

# The side of a cell, in sides of the square that it stands in.
SIZE = 0.7
ROWS, COLUMNS, SQUARE = 7, 9, 110
# Of the cells of a field that write_fields draws.
PARASITIZED = 0.1


def draw_field(
    rng: np.random.Generator,
    stain: Stain,
    *,
    rows: int = ROWS,
    columns: int = COLUMNS,
    square: int = SQUARE,
    parasitized: Collection[int] = (),
    background: tuple[int, int, int] = (225, 232, 226),
) -> tuple[Image.Image, list[Box]]:
    """A field with a cell in each of rows x columns squares, and where the cells lie.

    square: the side of one, pixels. parasitized: which cells are, counted along the rows.
    """
    size = int(square * SIZE)
    field = Image.new("RGB", (square * columns, square * rows), background)
    boxes = []
    for number in range(rows * columns):
        pixels, _ = draw_cell(rng, parasitized=number in parasitized, stain=stain)
        shape = Image.fromarray((pixels.max(axis=2) > 0).astype(np.uint8) * 255)
        row, column = divmod(number, columns)
        box = Box(square * column + square // 8, square * row + square // 8, size, size)
        cell = Image.fromarray(pixels).resize((size, size))
        field.paste(cell, (box.left, box.top), shape.resize((size, size)))
        boxes.append(box)
    return field, boxes


def write_fields(
    folder: Path | str, count: int, *, seed: int = 0, patients: int = 4, square: int = SQUARE
) -> list[Path]:
    """Write `count` fields as `folder/C<patient>P...png`, a tenth of their cells parasitized.

    The same arguments give the same bytes. Raises UsageError for a count or a number of patients
    below 1, UserError if the folder has files already.
    """
    check_numbers(count, patients, seed)
    folder = Path(folder)
    check_empty(folder)
    folder.mkdir(parents=True, exist_ok=True)
    stains, paths = draw_stains(patients, seed), []
    for number in range(count):
        rng, patient = np.random.default_rng([seed, 3, number]), number % patients
        sick = np.flatnonzero(rng.random(ROWS * COLUMNS) < PARASITIZED).tolist()
        field, _ = draw_field(rng, stains[patient], parasitized=sick, square=square)
        path = folder / f"C{patient + 1}P{patient + 1}thinF_synthetic_field_{number + 1}.png"
        field.save(path)
        paths.append(path)
    return paths
