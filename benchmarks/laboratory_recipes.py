#!/usr/bin/env python3
"""The runs behind the laboratories' part of docs/recipes.md: what each setting gives elsewhere.

    python benchmarks/laboratory_recipes.py --cells=cell_images/ --labs=labs/ --out=recipes/

Learns from what `benchmarks/laboratories.py prepare --for-choice` leaves and judges by 25 patients
of the NLM and one of mpidb, set aside for this, and by choose/iml; nothing that is reported is
seen.
Each run is configs/laboratories.yaml with fewer epochs and the settings below. A run that is in the
output folder already is not repeated. `--list` shows the recipes.
"""

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from laboratories import HEAD, SETS, measure, prepare
from recipes import train_once

from malaria.cli.command import Parser, add_common, run_script
from malaria.inference.load_classifier import load_classifier

CONFIG = "configs/laboratories.yaml"
QUICK = ("epochs=8", "steps_per_epoch=300", "guard=false", "plot_training_data=false")
OFF = {name: f"augmentation.{name}=0" for name in ("background", "mask", "resolution", "jpeg")}
# name: the settings that differ from configs/laboratories.yaml and QUICK.
RECIPES = {
    "as it is": (),
    "the NLM alone": ("train_images=laboratories/learn/nlm",),
    "the NLM alone, best.yaml's augmentation": (
        "train_images=laboratories/learn/nlm",
        *("augmentation.background=0.1", "augmentation.brightness=0.1"),
        *("augmentation.color_jitter=0.1", OFF["mask"], OFF["resolution"], OFF["jpeg"]),
    ),
    "balance: none": ("balance=none",),
    "balance: label": ("balance=label",),
    "balance: source": ("balance=source",),
    "no mask": (OFF["mask"],),
    "no background": (OFF["background"],),
    "no resolution, no jpeg": (OFF["resolution"], OFF["jpeg"]),
    "weaker colours": ("augmentation.brightness=0.1", "augmentation.color_jitter=0.1"),
    "stain_jitter .3": ("augmentation.stain_jitter=0.3",),
    "stain_transfer .3": ("augmentation.stain_transfer=0.3",),
    "longer": ("epochs=16", "steps_per_epoch=400"),
}
SHOWN = ("accuracy", "balanced", "AUC", "sens. at .97")


def main(arguments):
    parser = Parser(description=__doc__)
    parser.add_argument("--cells", default="cell_images/", help="(default: %(default)s)")
    parser.add_argument("--labs", default="labs/", help="(default: %(default)s)")
    parser.add_argument("--out", default="recipes/", help="(default: %(default)s)")
    parser.add_argument("--only", nargs="+", default=list(RECIPES), metavar="NAME")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1], metavar="N")
    parser.add_argument("--list", action="store_true", help="show the recipes and end")
    add_common(parser)
    options = parser.parse_args(arguments)
    if options.list:
        for name, settings in RECIPES.items():
            print(name, *settings)
        return
    place = Path(options.out).resolve()
    layout = place / "laboratories"
    if not layout.exists():
        prepare(Path(options.cells), Path(options.labs), layout, "choice")
    print("recipe, seed, minutes; of each set " + ", ".join(SHOWN))
    for name in options.only:
        for seed in options.seeds:
            found = run(name, seed, place)
            parts = [" ".join(f"{found[one][key]:.4f}" for key in SHOWN) for one in SETS]
            shown = " | ".join(f"{one} {part}" for one, part in zip(SETS, parts, strict=True))
            print(f"{name}, {seed}, {found['minutes']:.1f} | {shown}", flush=True)


def run(name, seed, place):
    """{set: {metric: number}} of one training; also "minutes"."""
    settings = [*QUICK, *RECIPES[name], f"random_state={seed}"]
    known = {"judge": partial(judge, place=place), "folder": place}
    return train_once(name, CONFIG, settings, place / f"{name}_{seed}", **known)


def judge(out, place):
    classifier = load_classifier(out)
    found = {}
    for name in SETS:
        answers = classifier.classify(place / "laboratories" / "judge" / name)
        values = measure(answers, classifier.metadata.threshold)
        known = dict(zip(HEAD[2:], map(float, values), strict=True))
        found[name] = {key: known[key] for key in SHOWN}
    return found


if __name__ == "__main__":
    sys.exit(run_script(main))
