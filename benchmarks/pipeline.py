#!/usr/bin/env python3
"""How quick a training step is: with the real pipeline, with one batch, and by Keras's fit.

    python benchmarks/pipeline.py [--images FOLDER] [--steps N] [--set key=value ...]

Prints images per second and their ratios, with and without augmentation, from one run: stretches of
the three kinds take turns, so that a machine that slows down slows all. Keras's fit gets the same
batches. Without --images it draws cells.
"""

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from malaria.cli.command import Parser, add_common, run_script
from malaria.data.drawn_cells import write_cells
from malaria.networks.backend import keras, tf
from malaria.settings.config import Augmentation
from malaria.settings.config_file import read_config
from malaria.training.assembly import build, load_images, make_learner, make_pipeline, split
from malaria.training.devices import choose_device

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
    ours, model = build(config, device, images), make_keras(config, device, images)
    print(f"{device.name}; TensorFlow {tf.__version__}, Keras {keras.__version__}")
    print(f"{config.model}, {config.image_size} pixels, batches of {config.batch_size}, ", end="")
    print(f"{ROUNDS} rounds of {steps} steps; images/s: median; median of the ratios of the rounds")
    for name, augmentation in (
        ("as configured", config.augmentation),
        ("everything on", everything_on()),
        ("none", Augmentation()),
    ):
        changes = {"steps_per_epoch": steps, "augmentation": augmentation}
        pipeline = make_pipeline(config.model_copy(update=changes), device, images)
        learner = make_learner(config, device, ours, pipeline)
        real, constant, by_keras = compare(learner, model)
        print(
            f"augmentation {name}: pipeline {np.median(real):.1f}, "
            f"constant batch {np.median(constant):.1f}, ratio {np.median(real / constant):.3f}; "
            f"Keras's fit {np.median(by_keras):.1f}, ratio {np.median(real / by_keras):.3f}",
            flush=True,
        )


def make_keras(config, device, images):
    model = build(config, device, images)
    smoothing = config.label_smoothing
    loss = keras.losses.BinaryCrossentropy(label_smoothing=smoothing)
    model.compile(model.optimizer, loss, metrics=["accuracy"], jit_compile=False)
    return model


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


def compare(learner, model):
    """Images per second of the three kinds, an array of rounds each."""
    pipeline = learner.pipeline
    [batch] = pipeline.epoch_batches(0).take(1)
    repeated = tf.data.Dataset.from_tensors(batch).repeat()

    def real(epoch):
        learner.train(pipeline.train(epoch), lambda steps: None)

    def constant(epoch):
        stream = replace(pipeline.train(epoch), batches=iter(repeated))
        learner.train(stream, lambda steps: None)

    def by_keras(epoch):
        batches = pipeline.epoch_batches(epoch).map(lambda batch: (batch.images, batch.labels))
        model.fit(batches, epochs=1, verbose=0, shuffle=False)

    for kind in (real, constant, by_keras):  # builds the graphs
        kind(0)
    seconds = [
        [time_it(kind, number) for kind in (real, constant, by_keras)]
        for number in range(1, ROUNDS + 1)
    ]
    return pipeline.steps * pipeline.batch_size / np.array(seconds).T


def time_it(kind, epoch):
    started = time.perf_counter()
    kind(epoch)
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(run_script(main))
