#!/usr/bin/env python3
"""Two workers on this machine, a core each, against one on one core, with the same batches.

    python benchmarks/workers.py [--config FILE] [--images FOLDER] [--steps N] [--set key=value ...]

Prints the seconds of an epoch of N steps, the second one, of which the graph is built, and their
ratio. What the cores could give at most is told too: two trainings that do not know of each other,
at the same time, against one alone; where the cores are two threads of one, that is far from 2.
Needs Linux. Without --images it draws cells.
"""

import csv
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from malaria.cli.command import Parser, add_common, run_script
from malaria.data.drawn_cells import write_cells

TOP = Path(__file__).resolve().parent.parent
SETTINGS = ("epochs=2", "validation_steps=1", "guard=false", "plot_training_data=false")
ROUNDS = 1


def main(arguments):
    parser = Parser(description=__doc__)
    parser.add_argument("--config", default=TOP / "configs/compact.yaml", type=Path)
    parser.add_argument("--images", help="folder with one sub-folder a label (default: drawn)")
    parser.add_argument("--steps", type=int, default=40, help="default: %(default)s")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    add_common(parser)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = options.images or folder / "cells"
        if not options.images:
            write_cells(images, 500, patients=12)
        settings = [f"train_images={images}", f"steps_per_epoch={options.steps}", *SETTINGS]
        settings += ["devices=cpu", *options.set]
        for number in range(ROUNDS):
            one, two, apart = (
                train(options.config, settings, folder / f"{number}{kind}", kind)
                for kind in ("one", "two", "apart")
            )
            print(
                f"one worker {one:.1f} s, two {two:.1f} s, ratio {one / two:.2f}; "
                f"two trainings apart {apart:.1f} s, at most {2 * one / apart:.2f}",
                flush=True,
            )


def train(config, settings, models, kind):
    """Seconds of the second epoch, each process on a core of its own."""
    count = 1 if kind == "one" else 2
    command = [sys.executable, str(TOP / "train.py"), f"--config={config}"]
    command += [f"--set={setting}" for setting in settings]
    workers = ",".join(f"127.0.0.1:{port}" for port in free_ports(count))

    def of(number):
        if kind != "two":
            return [f"--set=output_models={models}{number}"]
        return [f"--workers={workers}", f"--worker={number}", f"--set=output_models={models}0"]

    processes = [
        subprocess.Popen(
            [*command, *of(number)],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            preexec_fn=lambda core=core: os.sched_setaffinity(0, {core}),
        )
        for number, core in enumerate(sorted(os.sched_getaffinity(0))[:count])
    ]
    said = [process.communicate()[1] for process in processes]
    if any(process.returncode for process in processes):
        sys.exit("\n".join(said))
    [path] = Path(f"{models}0").glob("model_*/history.csv")
    with open(path, newline="", encoding="utf-8-sig") as file:
        return float(list(csv.DictReader(file))[-1]["seconds"])


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


if __name__ == "__main__":
    sys.exit(run_script(main))
