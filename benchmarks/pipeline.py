#!/usr/bin/env python3
"""How much of the training rate the real pipeline leaves: against one constant batch, repeated.

    python benchmarks/pipeline.py [--images FOLDER] [--steps N] [--set key=value ...]

Prints images per second and their ratio, with and without augmentation, from one run: stretches of
both kinds take turns, so that a machine that slows down slows both.
Without --images it draws cells.
"""

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from malaria.cli.command import Parser, add_common, run_script
from malaria.data.synthetic import write_cells
from malaria.networks.backend import keras, tf
from malaria.training.config import Augmentation
from malaria.training.config_file import read_config
from malaria.training.devices import choose_device
from malaria.training.steps import build, load_images, make_feed, make_learner, split

ROUNDS = 5


def main(arguments):
    parser = Parser(description=__doc__)
    parser.add_argument("--images", help="folder with one sub-folder a label (default: drawn)")
    parser.add_argument("--steps", type=int, default=20, help="of a stretch (default: %(default)s)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    add_common(parser)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        images = options.images or folder
        if not options.images:
            write_cells(folder, 500, patients=12)
        overrides = [f"train_images={images}", "output_models=" + folder, *options.set]
        config = read_config(Path(__file__).parent.parent / "config.yaml", overrides)
        measure(config, options.steps)


def measure(config, steps):
    device = choose_device(config.devices, config.mixed_precision)
    images = split(config, load_images(config))
    learner = make_learner(config, device, build(config, device, images))
    print(f"{device.name}; TensorFlow {tf.__version__}, Keras {keras.__version__}")
    print(f"{config.model}, {config.image_size} pixels, batches of {config.batch_size}, ", end="")
    print(f"{ROUNDS} rounds of {steps} steps; images/s: median")
    for name, augmentation in (
        ("as configured", config.augmentation),
        ("everything on", everything_on()),
        ("none", Augmentation()),
    ):
        changes = {"steps_per_epoch": steps * (ROUNDS + 1) + 1, "augmentation": augmentation}
        feed = make_feed(config.model_copy(update=changes), device, images)
        real, constant = compare(learner, feed, steps)
        ratio = np.median(np.array(real) / np.array(constant))
        print(
            f"augmentation {name}: pipeline {np.median(real):.1f}, "
            f"constant batch {np.median(constant):.1f}, ratio {ratio:.3f}",
            flush=True,
        )


def everything_on():
    return Augmentation(
        flips=True,
        quarter_turns=True,
        rotation=45,
        shear=0.033,
        zoom=0.1,
        aspect_ratio=0.1,
        blur=0.5,
        brightness=0.1,
        color_jitter=0.1,
        background=0.2,
    )


def compare(learner, feed, steps):
    """Images per second with the pipeline and with one batch, a list of rounds each."""
    real = feed.train(0)
    constant = replace(
        real, batches=iter(tf.data.Dataset.from_tensors(next(real.batches)).repeat())
    )
    time_steps(learner, real, steps)
    rates = [
        (time_steps(learner, real, steps), time_steps(learner, constant, steps))
        for _ in range(ROUNDS)
    ]
    size = feed.batches.batch_size
    return tuple([size * rate for rate in side] for side in zip(*rates, strict=True))


def time_steps(learner, stream, steps):
    """Steps per second."""
    started = time.perf_counter()
    learner.train(replace(stream, count=steps), lambda steps: None)
    return steps / (time.perf_counter() - started)


if __name__ == "__main__":
    sys.exit(run_script(main))
