#!/usr/bin/env python3
"""Whole fields: seconds for one of 5 megapixels, and peak memory over many.

    python benchmarks/fields.py [--model=models/] [--counts 20 200]

Draws a field of 2,592 x 1,944 pixels and links to it, classifies so many with --fields and
--output, and prints seconds a field and peak resident memory for each count.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from memory import classify

sys.path.insert(0, str(Path(__file__).parent.parent))

from malaria.cli.command import Parser, add_common, run_script
from malaria.data.drawing import draw_stain
from malaria.data.drawn_cells import draw_field

SIZE = (2592, 1944)


def main(arguments):
    parser = Parser(description=__doc__)
    parser.add_argument("--model", default=None, help="(default: the pretrained one)")
    counts_help = "numbers of fields, rising (default: %(default)s)"
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 20, 200], help=counts_help)
    add_common(parser)
    options = parser.parse_args(arguments)
    chosen = ["--fields", *([f"--model={options.model}"] if options.model else [])]
    with tempfile.TemporaryDirectory() as place:
        drawn, fields = Path(place) / "drawn.jpg", Path(place) / "fields"
        rng = np.random.default_rng(1)
        field, boxes = draw_field(rng, draw_stain(rng), rows=12, columns=16, parasitized=range(9))
        field.resize(SIZE).save(drawn, quality=90)
        fields.mkdir()
        for count in options.counts:
            for number in range(len(os.listdir(fields)), count):
                os.link(drawn, fields / f"field_{number:05}.jpg")
            seconds, megabytes = classify(
                fields, Path(place) / f"{count}.csv", *chosen, messages=subprocess.DEVNULL
            )
            rate = f"{seconds:.1f} s, {seconds / count:.2f} s each, {megabytes:.0f} MB at most"
            print(f"{count} fields of {len(boxes)} cells: {rate}", flush=True)


if __name__ == "__main__":
    sys.exit(run_script(main))
