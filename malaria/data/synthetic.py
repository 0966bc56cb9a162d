"""synthetic: draw stained cells, with and without parasites, into a labelled folder.

They show that the program runs; what a network learns from them says nothing about patients.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from malaria.base.errors import UsageError, UserError, printable
from malaria.cli.command import Parser, add_debug, run_script
from malaria.data.drawing import draw_cell, draw_stain

LABELS = ("Parasitized", "Uninfected")


def write_cells(folder, count, *, seed=0, patients=12, labels=LABELS):
    """Write `count` cells per label as `folder/<label>/C<patient>P...png`; returns their paths.

    The first label is drawn parasitized, the second uninfected. Patients take turns, in both
    labels alike. The same arguments give the same bytes; a larger count only adds cells.
    """
    if count < 1 or patients < 1 or seed < 0:
        raise UsageError(
            "expected count and patients of at least 1, seed of at least 0. "
            f"Received: count {count}, patients {patients}, seed {seed}"
        )
    folders = [Path(folder) / label for label in labels]
    for label_folder in folders:
        if label_folder.is_dir() and any(label_folder.iterdir()):
            raise UserError(f"{printable(label_folder)} is not empty; name another folder")
    # Stream 2 of the seed: cells have 0 and 1, and would otherwise repeat their patient's numbers.
    stains = [draw_stain(np.random.default_rng([seed, 2, n])) for n in range(patients)]
    return [
        write_cell(label_folder, n, np.random.default_rng([seed, index, n]), stains, index == 0)
        for index, label_folder in enumerate(folders)
        for n in range(count)
    ]


def write_cell(folder, number, rng, stains, parasitized):
    """Draw and save a label's cell `number`; returns its path."""
    patient = number % len(stains)
    image, _ = draw_cell(rng, parasitized=parasitized, stain=stains[patient])
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"C{patient + 1}P{patient + 1}thinF_synthetic_cell_{number + 1}.png"
    Image.fromarray(image).save(path)
    return path


def main(arguments):
    parser = Parser(
        prog="python -m malaria.synthetic",
        description="Draw blood cells into DIR/Parasitized and DIR/Uninfected.",
        epilog="example: python -m malaria.synthetic --out synthetic --count 200",
    )
    parser.add_argument("--out", metavar="DIR", required=True, help="folder to write into")
    parser.add_argument("--count", metavar="N", type=int, required=True, help="cells per label")
    parser.add_argument("--seed", metavar="S", type=int, default=0, help="default %(default)s")
    parser.add_argument("--patients", metavar="P", type=int, default=12, help="default %(default)s")
    add_debug(parser)
    options = parser.parse_args(arguments)
    paths = write_cells(options.out, options.count, seed=options.seed, patients=options.patients)
    patients = min(options.count, options.patients)
    print(f"wrote {len(paths)} cells (patients: {patients}) into {printable(options.out)}")


if __name__ == "__main__":
    sys.exit(run_script(main))
