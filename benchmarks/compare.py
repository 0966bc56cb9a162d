#!/usr/bin/env python3
"""The second original's comparison, done right: three networks, one split by patient, one table.

    python benchmarks/compare.py --images=cell_images/ [--out compare/]
        [--configs configs/keras_cnn.yaml configs/xresnet34.yaml configs/compact.yaml]
        [--set KEY=VALUE ...]

Each trains as its file says, but on the same quarter of the data (3,445 images a label), with the
same split by patient, and to its last epoch (keras_cnn: the tenth). Prints the minutes of each
training, and then what `run.py --evaluate` says of all of them on the validation cells: figures
with intervals by patient, images per second, and the paired differences to the first. A network
that is in the output folder already is not trained again. --set changes all of them, for a quick
try.
"""

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from malaria.base.errors import UserError
from malaria.cli.command import Parser, add_common, run_script

TOP = Path(__file__).resolve().parent.parent
CONFIGS = [TOP / "configs" / f"{name}.yaml" for name in ("keras_cnn", "xresnet34", "compact")]
# The original stops keras_cnn by the validation loss, which would choose on what is compared.
CHANGES = {"keras_cnn": ("early_stopping=null", "epochs=10")}
SPLIT = ("split_by=patient", "train_size=3445", "test_size=0.3", "random_state=42")


def main(arguments):
    parser = Parser(description=__doc__)
    parser.add_argument("--images", default="cell_images/", help="(default: %(default)s)")
    parser.add_argument("--out", default="compare/", help="(default: %(default)s)")
    parser.add_argument("--configs", nargs="+", default=CONFIGS)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    add_common(parser)
    options = parser.parse_args(arguments)
    out = Path(options.out)
    settings = [*SPLIT, f"train_images={options.images}", *options.set]
    pairs = [train(Path(config), settings, out) for config in options.configs]
    check_split(pairs)
    cells = link_validation(pairs[0].parent, out / "validation")
    command = [sys.executable, TOP / "run.py", f"--image={cells}", "--evaluate"]
    command += [f"--metrics={out / 'metrics.json'}", "--model", *pairs]
    subprocess.run(command, check=True)


def train(config, settings, out):
    """The .h5 of the network that this file trains, named like the file."""
    pair = out / config.stem / f"{config.stem}.h5"
    if not pair.exists():
        models = out / f"{config.stem}_models"
        command = [sys.executable, TOP / "train.py", f"--config={config}"]
        settings = [*settings, f"output_models={models}", "plot_training_data=false"]
        for setting in [*settings, *CHANGES.get(config.stem, ())]:
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


def check_split(pairs):
    """Raise UserError if the networks were not all judged on the same patients."""
    judged = [
        json.loads(pair.with_suffix(".json").read_text())["malaria"]["split"]["validation_patients"]
        for pair in pairs
    ]
    for pair, patients in zip(pairs, judged, strict=True):
        if patients != judged[0]:
            raise UserError(f"{pair} has another split than {pairs[0]}: delete one of them")


def link_validation(folder, cells):
    """A folder of links to the validation cells, below the names of their labels."""
    shutil.rmtree(cells, ignore_errors=True)
    with open(folder / "validation.csv", newline="", encoding="utf-8-sig") as file:
        for row in csv.DictReader(file):
            path = Path(row["path"])
            (cells / row["label"]).mkdir(parents=True, exist_ok=True)
            os.symlink(path.resolve(), cells / row["label"] / path.name)
    return cells


if __name__ == "__main__":
    sys.exit(run_script(main))
