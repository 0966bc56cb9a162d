#!/usr/bin/env python3
"""Peak memory of run.py over a very large folder: does it stay the same whatever its size?

    python benchmarks/memory.py --model=models/ [--counts 2000 200000]

Makes a folder of so many hard links to a few drawn cells, classifies it with --output, and prints
seconds and peak resident memory for each count.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from malaria.cli.command import Parser, add_common, run_script
from malaria.data.drawn_cells import write_cells

TOP = Path(__file__).resolve().parent.parent
DRAWN = 100


def main(arguments):
    parser = Parser(description=__doc__)
    parser.add_argument("--model", required=True, help="a trained pair, or a folder with one")
    counts_help = "sizes of the folder, rising (default: %(default)s)"
    parser.add_argument("--counts", type=int, nargs="+", default=[2000, 200_000], help=counts_help)
    add_common(parser)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        drawn = write_cells(Path(folder) / "drawn", DRAWN // 2)
        cells = Path(folder) / "cells"
        cells.mkdir()
        for count in options.counts:
            fill(cells, drawn, count)
            seconds, megabytes = classify(
                cells, Path(folder) / "rows.csv", f"--model={options.model}"
            )
            print(f"{count} images: {seconds:.0f} s, {megabytes:.0f} MB at most", flush=True)


def fill(cells, drawn, count):
    """Bring the folder to `count` links, with names as long as the NLM's."""
    for number in range(len(os.listdir(cells)), count):
        name = f"C{number % 200}P{number % 200}ThinF_IMG_20150918_150041_cell_{number:06}.png"
        os.link(drawn[number % len(drawn)], cells / name)


def classify(cells, output, *options, messages=sys.stderr):
    """(seconds, peak MB) of run.py; ru_maxrss is the largest child so far, so counts must rise.

    messages: where its stderr goes.
    """
    command = [sys.executable, TOP / "run.py", f"--image={cells}", f"--output={output}", *options]
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=messages)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return time.perf_counter() - started, peak


if __name__ == "__main__":
    sys.exit(run_script(main))
