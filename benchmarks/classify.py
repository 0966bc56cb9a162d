#!/usr/bin/env python3
"""What classifying costs: start-up, memory and images per second, against a plain Keras script.

    python benchmarks/classify.py --model=models/ --image=cells/ [--cells N] [--rounds N]
                                  [--other=CHECKOUT]

Prints one image in a whole process (seconds and peak memory) for run.py and for a script that does
the same with Keras alone, and images per second over a folder of 128 px cells: run.py's own loop,
LiteRT's bare forward pass at its best batch size, and Keras's predict over
image_dataset_from_directory. Rounds take turns, so that a machine that slows down slows all; the
medians of the rounds and of their ratios are shown. Without --image it draws cells. --other names a
checkout of another version: then only the two run.py take turns, over a folder and one image.
"""

import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from itertools import cycle, islice
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from malaria.base.machine import usable_cores
from malaria.cli.command import Parser, add_common, run_script
from malaria.data.drawn_cells import write_cells
from malaria.inference.litert import LiteRTNetwork
from malaria.inference.load_classifier import load_classifier
from malaria.inference.network import BATCH_SIZE
from malaria.inference.predict import predict
from malaria.pictures.folders import find_images
from malaria.pictures.images import open_image
from malaria.saved.architecture import network_size
from malaria.saved.pair import find_pair, read_architecture

TOP = Path(__file__).resolve().parent.parent
BATCHES = (1, 4, 8, 16, 32, 64)
# What a user would write who has only Keras, for one image or for a folder.
KERAS_START = """
import sys
import numpy, keras
from PIL import Image
model = keras.models.model_from_json(open(sys.argv[1] + ".json").read())
model.load_weights(sys.argv[1] + ".h5")
height, width = model.input_shape[1:3]
"""
KERAS_ONE = (
    KERAS_START
    + """
pixels = numpy.asarray(Image.open(sys.argv[2]).convert("RGB").resize((width, height)), "f") / 255
print(model.predict(pixels[None], verbose=0)[0])
"""
)
KERAS_FOLDER = (
    KERAS_START
    + """
import time
images = keras.utils.image_dataset_from_directory(
    sys.argv[2], labels=None, image_size=(height, width), shuffle=False, verbose=False
).map(lambda batch: batch / 255)
model.predict(images.take(2), verbose=0)
started = time.perf_counter()
count = len(model.predict(images, verbose=0))
print(count / (time.perf_counter() - started))
"""
)


def main(arguments):
    parser = Parser(description=__doc__)
    parser.add_argument("--model", required=True, help="a trained pair, or a folder with one")
    parser.add_argument("--image", help="folder with cells (default: drawn)")
    parser.add_argument("--cells", type=int, default=1000, help="of a round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--other", type=Path, help="a checkout of another version")
    add_common(parser)
    options = parser.parse_args(arguments)
    names = ("ai-edge-litert", "tensorflow-cpu", "keras", "numpy", "pillow")
    print(", ".join(f"{name} {version(name)}" for name in names))
    with tempfile.TemporaryDirectory() as folder:
        cells = make_cells(Path(folder), options.image, options.cells)
        pair = find_pair(options.model)
        if options.other:
            measure_versions(pair, cells, options.other.resolve(), options.rounds)
            return
        measure_one(pair, next(find_images(Path(cells))), options.rounds)
        measure_folder(pair, cells, options.rounds)


def make_cells(folder, source, count):
    """A folder of `count` cells at 128 x 128, PNG, from `source` or drawn."""
    if source is None:
        source = folder / "drawn"
        write_cells(source, 100)
    cells = folder / "cells"
    cells.mkdir()
    for number, path in enumerate(islice(cycle(list(find_images(Path(source)))[:count]), count)):
        open_image(path).resize((128, 128)).save(cells / f"{number:06}.png")
    return cells


def measure_one(pair, image, rounds):
    """One image, the whole process, in turns."""
    ours = [sys.executable, TOP / "run.py", f"--model={pair.weights}", f"--image={image}"]
    plain = [sys.executable, "-c", KERAS_ONE, pair.weights.with_suffix(""), image]
    run_process(ours)
    turns = [(run_process(ours), run_process(plain)) for _ in range(rounds)]
    for name, runs in zip(("run.py", "plain Keras"), zip(*turns, strict=True), strict=True):
        seconds, megabytes = (statistics.median(values) for values in zip(*runs, strict=True))
        print(f"one image, whole process, {name}: {seconds:.2f} s, {megabytes:.0f} MB at most")
    ratio = statistics.median(plain[0] / ours[0] for ours, plain in turns)
    print(f"one image: run.py is {ratio:.1f} times as fast")


def run_process(command):
    """(seconds, peak MB) of a command."""
    code = (
        "import resource, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], check=True, capture_output=True)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    started = time.perf_counter()
    result = subprocess.run(
        [sys.executable, "-S", "-c", code, *map(str, command)],
        check=True,
        capture_output=True,
        text=True,
    )
    return time.perf_counter() - started, int(result.stdout) / 1024


def measure_versions(pair, cells, other, rounds):
    """run.py of this version and of another, in turns: a folder, and one image."""
    image = next(find_images(Path(cells)))
    turns, commands = [], []
    for top in (TOP, other):
        # Each has a copy of the pair, for it may write another .tflite beside it.
        copy = Path(tempfile.mkdtemp(dir=cells.parent))
        for path in (pair.weights, pair.architecture, pair.tflite):
            shutil.copy(path, copy)
        commands.append([sys.executable, top / "run.py", f"--model={copy / pair.weights.name}"])
        run_process([*commands[-1], f"--image={image}"])
    for _ in range(rounds):
        for command in commands:
            seconds, megabytes = run_process([*command, f"--image={image}"])
            turns.append(
                (rate_of([*command, f"--image={cells}", "--count_only"]), seconds, megabytes)
            )
    for name, runs in (("this version", turns[::2]), ("the other", turns[1::2])):
        rate, seconds, megabytes = (statistics.median(values) for values in zip(*runs, strict=True))
        print(f"{name}: {rate:.1f} images/s; one image {seconds:.3f} s, {megabytes:.0f} MB at most")
    pairs = list(zip(turns[::2], turns[1::2], strict=True))
    rate = statistics.median(ours[0] / theirs[0] for ours, theirs in pairs)
    seconds = statistics.median(ours[1] / theirs[1] for ours, theirs in pairs)
    print(f"this version against the other: {rate:.3f} of the rate, {seconds:.3f} of the seconds")


def rate_of(command):
    """The images per second that run.py tells."""
    result = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
    return float(re.search(r"([\d.]+) images/s", result.stderr)[1])


def measure_folder(pair, cells, rounds):
    """Images per second over the folder, in turns."""
    batch = find_best_batch(pair)
    turns = []
    for _ in range(rounds):
        turns.append((rate_ours(pair, cells), rate_bare(pair, batch), rate_keras(pair, cells)))
    names = ("run.py end to end", f"bare LiteRT, batches of {batch}", "Keras predict")
    for name, rates in zip(names, zip(*turns, strict=True), strict=True):
        print(f"{name}: {statistics.median(rates):.1f} images/s")
    bare = statistics.median(ours / bare for ours, bare, _ in turns)
    keras = statistics.median(ours / keras for ours, _, keras in turns)
    print(f"end to end against bare LiteRT: {bare:.3f}; against Keras predict: {keras:.2f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of this process, which ran the first two: {peak:.0f} MB")


def open_network(pair):
    return LiteRTNetwork(pair.tflite, cores=usable_cores())


def rate_ours(pair, cells):
    classifier = load_classifier(pair.weights, engine="litert")
    # The first batch also prepares the network, as the warm-up of the others does.
    list(predict(islice(find_images(Path(cells)), BATCH_SIZE), classifier))
    started = time.perf_counter()
    count = sum(1 for _ in predict(find_images(Path(cells)), classifier))
    return count / (time.perf_counter() - started)


def find_best_batch(pair):
    rates = {batch: rate_bare(pair, batch) for batch in BATCHES}
    print("bare LiteRT, images/s by batch:", {k: round(v, 1) for k, v in rates.items()})
    return max(rates, key=rates.get)


def rate_bare(pair, batch, seconds=3):
    network = open_network(pair)
    height, width = network_size(read_architecture(pair))
    images = np.random.default_rng(0).random((batch, height, width, 3), np.float32)
    network(images)
    started, count = time.perf_counter(), 0
    while time.perf_counter() < started + seconds:
        network(images)
        count += batch
    return count / (time.perf_counter() - started)


def rate_keras(pair, cells):
    command = [sys.executable, "-c", KERAS_FOLDER, str(pair.weights.with_suffix("")), str(cells)]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(result.stdout.split()[-1])


if __name__ == "__main__":
    sys.exit(run_script(main))
