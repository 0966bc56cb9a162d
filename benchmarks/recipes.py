#!/usr/bin/env python3
"""The runs behind docs/recipes.md: what each setting gives, on patients that no figure reports.

    python benchmarks/recipes.py --images=cell_images/ --out=recipes/ [--only NAME ...] [--seeds N]

The validation patients of config.yaml's split are set aside first, so nothing is chosen on what is
reported. The others are split again, by each of the seeds; each recipe trains on one side and is
judged on the other. Prints one line a run; a run that is in the output folder already is not
repeated. `--list` shows the recipes.
"""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from malaria.base.errors import UserError
from malaria.cli.command import Parser, add_common, run_script
from malaria.data.dataset import scan_folder
from malaria.data.splits import split_samples
from malaria.settings.config import Config

TOP = Path(__file__).resolve().parent.parent
COMPACT, EIGHT = "configs/compact.yaml", "epochs=8"
ROBUST = ("augmentation.blur=0.5", "augmentation.aspect_ratio=0.1", "augmentation.background=0.1")
COLOURS = ("augmentation.brightness=0.2", "augmentation.color_jitter=0.2")
STRONG = (*COLOURS, "augmentation.zoom=0.2", "augmentation.aspect_ratio=0.2")
PROGRESSIVE = ("progressive_epochs=4", "progressive_size=[48,48]")
VGG, THIRTY_TWO = "config.yaml", ("batch_size=32", "learning_rate=1e-3")
LIGHT, UPRIGHT = "weight_decay=0.05", "augmentation.rotation=0"
# name: (the file, the settings that differ from it)
RECIPES = {
    "compact": (COMPACT, EIGHT),
    "compact, 3 epochs": (COMPACT, "epochs=3"),
    "compact, 16 epochs": (COMPACT, "epochs=16"),
    "compact, no label smoothing": (COMPACT, EIGHT, "label_smoothing=0"),
    "compact, no weight decay": (COMPACT, EIGHT, "weight_decay=0"),
    "compact, rate 8e-3": (COMPACT, EIGHT, "learning_rate=8e-3"),
    "compact, average of the weights .995": (COMPACT, EIGHT, "ema_decay=0.995"),
    "compact, average of the weights .98": (COMPACT, EIGHT, "ema_decay=0.98"),
    "compact, strong augmentation": (COMPACT, EIGHT, *STRONG),
    "compact, blur, stretch, background": (COMPACT, EIGHT, *ROBUST),
    "compact, 4 epochs of 48 x 48": (COMPACT, EIGHT, *PROGRESSIVE),
    "vgg": (VGG, EIGHT),
    "vgg, batches of 32": (VGG, EIGHT, *THIRTY_TWO),
    "vgg, 16 epochs of batches of 32": (VGG, "epochs=16", *THIRTY_TWO),
    "vgg, no rotation, decay .05": (VGG, EIGHT, *THIRTY_TWO, UPRIGHT, LIGHT),
    "vgg, decay .05": (VGG, EIGHT, *THIRTY_TWO, LIGHT),
    "vgg, no rotation": (VGG, EIGHT, *THIRTY_TWO, UPRIGHT),
    "vgg, strong colours": (VGG, EIGHT, *THIRTY_TWO, *COLOURS),
}
METRICS = ("accuracy", "sensitivity", "specificity", "auc", "loss")


def main(arguments):
    parser = Parser(description=__doc__)
    parser.add_argument("--images", default="cell_images/", help="(default: %(default)s)")
    parser.add_argument("--out", default="recipes/", help="(default: %(default)s)")
    parser.add_argument("--only", nargs="+", default=list(RECIPES), metavar="NAME")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1], metavar="N")
    parser.add_argument("--list", action="store_true", help="show the recipes and end")
    add_common(parser)
    options = parser.parse_args(arguments)
    if options.list:
        for name, (config, *settings) in RECIPES.items():
            print(name, config, *settings)
        return
    out = Path(options.out)
    images = link_patients(Path(options.images), out / "cell_images")
    print("recipe, seed, minutes, " + ", ".join(METRICS))
    for name in options.only:
        for seed in options.seeds:
            metrics = run(name, seed, images, out / f"{name}_{seed}")
            shown = ", ".join(f"{metrics[key]:.4f}" for key in METRICS)
            print(f"{name}, {seed}, {metrics['minutes']:.1f}, {shown}", flush=True)


def link_patients(images, folder):
    """A folder of links to the cells of the patients that config.yaml trains on, made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    config = Config()
    samples = scan_folder(images, config.labels, config.patient_pattern)
    training, _ = split_samples(
        samples, by=config.split_by, test_size=config.test_size, seed=config.random_state
    )
    for index in training:
        sample = samples[index]
        link = folder / config.labels[sample.label] / sample.path.name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(sample.path.resolve())
    return folder


def run(name, seed, images, out):
    """{metric: number} of one training; also "minutes"."""
    config, *settings = RECIPES[name]
    settings = [f"train_images={images}", f"random_state={seed}", *settings]
    return train_once(name, config, [*settings, "plot_training_data=false"], out, read_metrics)


def train_once(name, config, settings, out, judge, folder=None):
    """What `judge` says of the pair in `out`, a dict, with "minutes"; trained if it is not there.

    config: a file of this repository. folder: where train.py is started; None: here.
    """
    saved = out / "metrics.json"
    if not saved.exists():
        # What an interruption left.
        shutil.rmtree(out, ignore_errors=True)
        settings = [*settings, f"output_models={out}"]
        command = [sys.executable, TOP / "train.py", f"--config={TOP / config}"]
        started = time.perf_counter()
        log = subprocess.run(
            [*command, *(part for one in settings for part in ("--set", one))],
            cwd=folder,
            check=False,
            capture_output=True,
            text=True,
        )
        if log.returncode:
            raise UserError(f"{name}: train.py failed: {log.stderr.strip().splitlines()[-1]}")
        out.mkdir(parents=True, exist_ok=True)
        (out / "log.txt").write_text(log.stderr + log.stdout)
        minutes = (time.perf_counter() - started) / 60
        saved.write_text(json.dumps(judge(out) | {"minutes": minutes}))
    return json.loads(saved.read_text())


def read_metrics(out):
    """What the newest pair in `out` says of its validation."""
    pair = max(out.glob("model_*.json"))
    return json.loads(pair.read_text())["malaria"]["validation"]


if __name__ == "__main__":
    sys.exit(run_script(main))
