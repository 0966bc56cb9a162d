#!/usr/bin/env python3
"""What a Ray cluster costs and gives: run.py --cluster against plain run.py, on one machine.

    python benchmarks/cluster.py [--image=cells/] [--count N] [--rounds N] [--workers 1 2]

Writes a list of `count` paths, the images of a folder again and again, and lets run.py write a
row of each to a .csv: alone, and on a Ray of one node with as many cores as --workers, which is
started before and not counted. Takes turns, so that a machine that slows down slows all; shows the
rows a second that run.py tells, their ratio to plain in the same round, and for the process where
the command was given its seconds of processor and its peak of memory. The rows must be the same, or
it fails. Without --image it draws cells.
"""

import re
import statistics
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from malaria.base.errors import UserError
from malaria.base.files import sha256_of
from malaria.cli.command import Parser, add_common, run_script
from malaria.cluster.connect import import_ray
from malaria.data.drawn_cells import write_cells
from malaria.pictures.folders import find_images

TOP = Path(__file__).resolve().parent.parent
# More images than this are only the same ones again, which the disk's cache has anyway.
DIFFERENT = 4000
MEASURE = """
import resource, subprocess, sys
told = subprocess.run(sys.argv[1:], check=True, capture_output=True, text=True).stderr
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss // 1024, told)
"""


@dataclass(frozen=True)
class Run:
    """rate: rows a second. seconds, megabytes: of the process that was started, at most."""

    rate: float
    seconds: float
    megabytes: int
    digest: str


def main(arguments):
    parser = Parser(description=__doc__)
    parser.add_argument("--image", help="folder with cells (default: drawn)")
    parser.add_argument("--count", type=int, default=100_000, help="(default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=1, help="(default: %(default)s)")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="(default: 1 2)")
    add_common(parser)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        paths = write_list(Path(folder), options.image, options.count)
        rounds = [measure_all(paths, options.workers) for _ in range(options.rounds)]
    for name in rounds[0]:
        show(name, [one[name] for one in rounds], [one["plain"] for one in rounds])


def write_list(folder, source, count):
    if source is None:
        source = folder / "drawn"
        write_cells(source, DIFFERENT // 2)
    paths = cycle([path.resolve() for path in islice(find_images(Path(source)), DIFFERENT)])
    listing = folder / "cells.txt"
    with open(listing, "w", encoding="utf-8") as file:
        file.writelines(f"{path}\n" for path in islice(paths, count))
    return listing


def measure_all(paths, workers):
    """{name: Run}, one after the other."""
    runs = {"plain": measure(paths)}
    for count in workers:
        with cluster_of(count) as address:
            runs[f"{count} workers"] = measure(paths, f"--cluster={address}")
    if len({run.digest for run in runs.values()}) > 1:
        raise UserError("the rows differ")
    return runs


@contextmanager
def cluster_of(cores):
    import_ray()
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": cores, "include_dashboard": False}
    )
    try:
        yield cluster.address
    finally:
        cluster.shutdown()


def measure(paths, *more):
    output = paths.with_name("rows.csv")
    command = [TOP / "run.py", f"--image=@{paths}", "--count_only", f"--output={output}", *more]
    told = subprocess.run(
        [sys.executable, "-S", "-c", MEASURE, sys.executable, *command],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    seconds, megabytes, lines = told.split(" ", 2)
    rate = float(re.search(r"([\d.]+) images/s", lines)[1])
    return Run(rate, float(seconds), int(megabytes), sha256_of(output))


def show(name, runs, plain):
    rate = statistics.median(run.rate for run in runs)
    ratio = statistics.median(run.rate / other.rate for run, other in zip(runs, plain, strict=True))
    seconds = statistics.median(run.seconds for run in runs)
    megabytes = max(run.megabytes for run in runs)
    print(
        f"{name}: {rate:.0f} rows/s, {ratio:.3f} of plain; the process that was started: "
        f"{seconds:.1f} s of processor, {megabytes} MB at most",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(run_script(main))
