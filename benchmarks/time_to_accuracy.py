#!/usr/bin/env python3
"""Minutes to a validation accuracy: the first original's recipe and ours, on the same split.

    python benchmarks/time_to_accuracy.py --images=cell_images/ [--target .9594] [--minutes 10]
        [--config config.yaml] [--split image|patient] [--seed N] [--set KEY=VALUE ...]

Ours is timed from the start of the process and a folder of images to the saved pair, and its
accuracy is the pair's on all validation images. The original's recipe (configs/original.yaml: Adam
at a constant 1e-4, its augmentation) is stopped after the epoch in which so many minutes are over;
then the epochs seen say how long its 35 of 60 training and 15 validation batches of 200 take.
Split "image" is the original's: 6,000 images a label, 30 % of them for validation, at random. --set
changes ours alone; --minutes 0 leaves the original out.
"""

import re
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parent.parent))

from malaria.base.errors import UserError
from malaria.cli.command import Parser, add_common, run_script

TOP = Path(__file__).resolve().parent.parent
EPOCH = re.compile(r"epoch (\d+)/\d+: .*accuracy (\d\.\d+); (\d+) s$")
RESULT = re.compile(r"validation images.*?: accuracy (\d\.\d+)")
# Of the first original: images of an epoch's training, and epochs.
TRAINED, EPOCHS = 60 * 200, 35


def main(arguments):
    parser = Parser(description=__doc__)
    parser.add_argument("--images", default="cell_images/", help="(default: %(default)s)")
    parser.add_argument("--target", type=float, default=0.9594, help="(default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=10, help="(default: %(default)s)")
    parser.add_argument("--config", default=TOP / "config.yaml", help="of ours")
    parser.add_argument("--split", choices=("image", "patient"), default="image")
    parser.add_argument("--seed", type=int, default=42, help="of the split (default: %(default)s)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    add_common(parser)
    options = parser.parse_args(arguments)
    split = [f"train_images={options.images}", f"split_by={options.split}", "test_size=0.3"]
    split += [f"random_state={options.seed}"]
    split += [f"train_size={6000 if options.split == 'image' else 'null'}"]
    minutes, accuracy = time_ours(options.config, [*split, *options.set])
    reached = "reached" if accuracy >= options.target else "NOT reached"
    print(f"ours: {minutes:.2f} min to a saved pair of accuracy {accuracy:.4f}: {reached}")
    if options.minutes:
        original, note = time_original(split, options.target, 60 * options.minutes)
        print(f"original: {original:.1f} min {note}")
        print(f"ratio: {original / minutes:.1f}")


def time_ours(config, settings):
    """(minutes of the whole process, accuracy of the pair it saved)."""
    started = time.perf_counter()
    with TemporaryDirectory() as folder, start(config, settings, folder) as process:
        for line in process.stderr:
            print(f"  {line.rstrip()}", flush=True)
        result = RESULT.search(process.stdout.read())
    if result is None:
        raise UserError("the training failed; see above")
    return (time.perf_counter() - started) / 60, float(result[1])


def time_original(split, target, most):
    """(minutes, how they were found): to the target, or of the whole at the rate of `most` s."""
    started, arrived, seconds = time.perf_counter(), [], []
    config = TOP / "configs" / "original.yaml"
    with TemporaryDirectory() as folder, start(config, split, folder) as process:
        for line in process.stderr:
            print(f"  {line.rstrip()}", flush=True)
            if not (epoch := EPOCH.match(line)):
                continue
            elapsed = time.perf_counter() - started
            arrived.append(elapsed)
            seconds.append(int(epoch[3]))
            if float(epoch[2]) >= target or elapsed > most:
                process.kill()
            if float(epoch[2]) >= target:
                return elapsed / 60, f"to accuracy {epoch[2]}"
    if not seconds:
        raise UserError("the original's recipe did not finish an epoch; see above")
    # The first also builds the graph.
    steps = [late - early for early, late in pairwise(arrived)] or arrived
    trained = seconds[1:] or seconds
    rate = TRAINED * len(trained) / sum(trained)
    whole = EPOCHS * sum(steps) / len(steps)
    return whole / 60, f"for 35 epochs as long as those seen, at {rate:.1f} images/s in training"


def start(config, settings, folder):
    """train.py with these settings, its lines to be read as they come."""
    command = [sys.executable, TOP / "train.py", f"--config={config}"]
    for setting in [*settings, f"output_models={folder}", "plot_training_data=false"]:
        command += ["--set", setting]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, **pipes)


if __name__ == "__main__":
    sys.exit(run_script(main))
