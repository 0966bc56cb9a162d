#!/usr/bin/env python3
"""The second original's comparison, done right: three networks, one split by patient, one table.

    python benchmarks/compare.py --images=cell_images/ [--out compare/]
        [--configs configs/keras_cnn.yaml configs/xresnet34.yaml configs/compact.yaml]

Each trains as its file says, but on the same quarter of the data (3,445 images a label) and the
same split by patient. Prints the minutes of each training, and then what `run.py --evaluate` says
of all of them on the validation cells: figures with intervals by patient, images per second, and
the paired differences to the first. A network that is in the output folder already is not trained
again.
"""

import csv
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from malaria.command import Parser, add_debug, run_script

TOP = Path(__file__).resolve().parent.parent
CONFIGS = [TOP / "configs" / f"{name}.yaml" for name in ("keras_cnn", "xresnet34", "compact")]
SPLIT = ("split_by=patient", "train_size=3445", "test_size=0.3", "random_state=42")


def main(arguments):
    parser = Parser(description=__doc__)
    parser.add_argument("--images", default="cell_images/", help="(default: %(default)s)")
    parser.add_argument("--out", default="compare/", help="(default: %(default)s)")
    parser.add_argument("--configs", nargs="+", default=CONFIGS)
    add_debug(parser)
    options = parser.parse_args(arguments)
    out = Path(options.out)
    pairs = [train(Path(config), options.images, out) for config in options.configs]
    cells = link_validation(pairs[0].parent, out / "validation")
    command = [sys.executable, TOP / "run.py", f"--image={cells}", "--evaluate"]
    command += [f"--metrics={out / 'metrics.json'}", "--model", *pairs]
    subprocess.run(command, check=True)


def train(config, images, out):
    """The .h5 of the network that this file trains, named like the file."""
    pair = out / config.stem / f"{config.stem}.h5"
    if not pair.exists():
        models = out / f"{config.stem}_models"
        settings = [*SPLIT, f"train_images={images}", f"output_models={models}"]
        command = [sys.executable, TOP / "train.py", f"--config={config}"]
        for setting in [*settings, "plot_training_data=false"]:
            command += ["--set", setting]
        started = time.perf_counter()
        subprocess.run(command, check=True)
        minutes = (time.perf_counter() - started) / 60
        print(f"{config.stem}: {minutes:.1f} minutes", flush=True)
        newest = max(models.glob("model_*.h5"))
        pair.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(newest.with_suffix("") / "validation.csv", pair.parent)
        for suffix in (".h5", ".json", ".tflite"):
            shutil.copy(newest.with_suffix(suffix), pair.with_suffix(suffix))
    return pair


def link_validation(folder, cells):
    """A folder of links to the validation cells, below the names of their labels."""
    shutil.rmtree(cells, ignore_errors=True)
    with open(folder / "validation.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            path = Path(row["path"])
            (cells / row["label"]).mkdir(parents=True, exist_ok=True)
            os.symlink(path.resolve(), cells / row["label"] / path.name)
    return cells


if __name__ == "__main__":
    sys.exit(run_script(main))
