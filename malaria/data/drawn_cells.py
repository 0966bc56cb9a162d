"""drawn_cells: draw stained cells into a labelled folder, or whole fields of them.

They show that the program runs; what a network learns from them says nothing about patients.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from malaria.base.errors import UsageError, UserError
from malaria.base.files import make_folder
from malaria.base.text import printable
from malaria.data.dataset import LABELS
from malaria.data.drawing import Stain, draw_cell, draw_stain
from malaria.pictures.box import Box

# A field has a cell in each of ROWS x COLUMNS squares: the side of a square, pixels, the side of a
# cell as a share of it, and the share of cells that are parasitized.
ROWS, COLUMNS, SQUARE, SIZE, PARASITIZED = 7, 9, 110, 0.7, 0.1


def write_cells(
    folder: Path | str,
    count: int,
    *,
    seed: int = 0,
    patients: int = 12,
    labels: Sequence[str] = LABELS,
) -> list[Path]:
    """Write `count` cells per label as `folder/<label>/C<patient>P...png`; returns their paths.

    The first label is drawn parasitized, the others uninfected. Patients take turns in each. The
    same arguments give the same bytes; a larger count only adds cells. Raises UsageError for
    numbers below 1, UserError if a folder of a label has files already.
    """
    folders = [Path(folder) / label for label in labels]
    stains, paths = _draw_stains(count, patients, seed, folders), []
    for index, target in enumerate(folders):
        make_folder(target, Path(folder))
        for number in range(count):
            rng, patient = np.random.default_rng([seed, index, number]), number % patients
            pixels, _ = draw_cell(rng, parasitized=index == 0, stain=stains[patient])
            paths.append(save_drawn(Image.fromarray(pixels), target, "cell", patient, number))
    return paths


def write_fields(
    folder: Path | str, count: int, *, seed: int = 0, patients: int = 4, square: int = SQUARE
) -> list[Path]:
    """Write `count` fields as `folder/C<patient>P...png`; returns their paths.

    The same arguments give the same bytes. Raises what write_cells raises.
    """
    stains, paths = _draw_stains(count, patients, seed, [Path(folder)]), []
    make_folder(Path(folder), Path(folder))
    for number in range(count):
        rng, patient = np.random.default_rng([seed, 3, number]), number % patients
        sick = np.flatnonzero(rng.random(ROWS * COLUMNS) < PARASITIZED).tolist()
        field, _ = draw_field(rng, stains[patient], parasitized=sick, square=square)
        paths.append(save_drawn(field, Path(folder), "field", patient, number))
    return paths


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

    parasitized: the indices of those that are, counted along the rows.
    """
    size, margin = int(square * SIZE), square // 8
    field = Image.new("RGB", (square * columns, square * rows), background)
    boxes = []
    for number in range(rows * columns):
        pixels, _ = draw_cell(rng, parasitized=number in parasitized, stain=stain)
        cell = Image.fromarray(pixels).resize((size, size))
        shape = Image.fromarray(pixels.any(axis=2)).convert("L").resize((size, size))
        row, column = divmod(number, columns)
        boxes.append(Box(square * column + margin, square * row + margin, size, size))
        field.paste(cell, (boxes[-1].left, boxes[-1].top), shape)
    return field, boxes


def check_drawing(count: int, patients: int, seed: int, folders: Sequence[Path]) -> None:
    """Raise UsageError for numbers that cannot be, UserError for a folder with files."""
    if count < 1 or patients < 1 or seed < 0:
        raise UsageError(
            "expected count and patients of at least 1, seed of at least 0. "
            f"Received: count {count}, patients {patients}, seed {seed}"
        )
    for folder in folders:
        if folder.is_dir() and any(folder.iterdir()):
            raise UserError(f"{printable(folder)} is not empty; name another folder")


def _draw_stains(count: int, patients: int, seed: int, folders: Sequence[Path]) -> list[Stain]:
    """Each patient's Stain; raises what check_drawing raises."""
    check_drawing(count, patients, seed, folders)
    # Stream 2 of the seed: cells have 0 and 1, and would otherwise repeat their patient's numbers.
    return [draw_stain(np.random.default_rng([seed, 2, n])) for n in range(patients)]


def save_drawn(image: Image.Image, folder: Path, kind: str, patient: int, number: int) -> Path:
    """Save a drawing under a name as of the NLM, by which its patient is told; returns the path."""
    path = folder / f"C{patient + 1}P{patient + 1}thinF_synthetic_{kind}_{number + 1}.png"
    image.save(path)
    return path
