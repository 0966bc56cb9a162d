"""drawn_cells: draw stained cells, with and without parasites, into a labelled folder.

They show that the program runs; what a network learns from them says nothing about patients.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from malaria.base.errors import UsageError, UserError
from malaria.base.text import printable
from malaria.data.dataset import LABELS
from malaria.data.drawing import Stain, draw_cell, draw_stain


def write_cells(
    folder: Path | str,
    count: int,
    *,
    seed: int = 0,
    patients: int = 12,
    labels: Sequence[str] = LABELS,
) -> list[Path]:
    """Write `count` cells per label as `folder/<label>/C<patient>P...png`; returns their paths.

    The first label is drawn parasitized, the second uninfected. Patients take turns, in both
    labels alike. The same arguments give the same bytes; a larger count only adds cells.

    Raises UsageError for a count or a number of patients below 1, UserError if a folder of a label
    has files already.
    """
    check_numbers(count, patients, seed)
    folders = [Path(folder) / label for label in labels]
    for label_folder in folders:
        check_empty(label_folder)
    stains = draw_stains(patients, seed)
    return [
        _write_cell(label_folder, n, np.random.default_rng([seed, index, n]), stains, index == 0)
        for index, label_folder in enumerate(folders)
        for n in range(count)
    ]


def check_numbers(count: int, patients: int, seed: int) -> None:
    """Raise UsageError for a count or a number of patients below 1, or a seed below 0."""
    if count < 1 or patients < 1 or seed < 0:
        raise UsageError(
            "expected count and patients of at least 1, seed of at least 0. "
            f"Received: count {count}, patients {patients}, seed {seed}"
        )


def check_empty(folder: Path) -> None:
    """Raise UserError if the folder has files already."""
    if folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"{printable(folder)} is not empty; name another folder")


def draw_stains(patients: int, seed: int) -> list[Stain]:
    """The stain of each patient."""
    # Stream 2 of the seed: cells have 0 and 1, and would otherwise repeat their patient's numbers.
    return [draw_stain(np.random.default_rng([seed, 2, n])) for n in range(patients)]


def _write_cell(
    folder: Path, number: int, rng: np.random.Generator, stains: list[Stain], parasitized: bool
) -> Path:
    """Draw and save a label's cell `number`; returns its path."""
    patient = number % len(stains)
    image, _ = draw_cell(rng, parasitized=parasitized, stain=stains[patient])
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"C{patient + 1}P{patient + 1}thinF_synthetic_cell_{number + 1}.png"
    Image.fromarray(image).save(path)
    return path
