#!/usr/bin/env python3
"""What a GPU does with this program: one command, some minutes, tables for docs/results.md.

    python benchmarks/gpu.py --images FOLDER [--stages steps trainings classify resume tests]

FOLDER has one sub-folder a label. steps: images/s of each network, precision and batch size, with
the real pipeline and with one constant batch. trainings: configs from start to saved pair.
classify: run.py over the folder by Keras on the GPU against reading the files alone, and how far
LiteRT's answers are from Keras's. resume: a deterministic training that is killed and goes on,
against one that is not. tests: those that a GPU concerns. Ends at once where TensorFlow sees none.
"""

import csv
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from itertools import product
from pathlib import Path

import h5py
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from malaria.base.gpu import list_cards
from malaria.base.machine import worker_count
from malaria.cli.command import Parser, add_common, run_script

TOP = Path(__file__).resolve().parent.parent
CONFIGS = {"vgg": "config.yaml", "compact": "configs/compact.yaml"}
TRAININGS = (*CONFIGS.values(), "configs/original.yaml")
BATCH_SIZES = {"vgg": (16, 200, 512), "compact": (64, 512, 2048)}
PRECISIONS = ("float32", "bfloat16", "float16")
# LiteRT takes its time for vgg.
COMPARED, COLUMN = 500, "probability of Parasitized"
TESTS = ("tests/training/test_on_gpu.py", "tests/training/test_devices.py")


def main(arguments):
    parser = Parser(description=__doc__)
    parser.add_argument("--images", required=True, help="folder with one sub-folder a label")
    stages = {
        "steps": run_steps,
        "trainings": run_trainings,
        "classify": run_classify,
        "resume": run_resume,
        "tests": run_tests,
    }
    parser.add_argument(
        "--stages", nargs="+", choices=stages, default=list(stages), help="default: all"
    )
    parser.add_argument("--networks", default="vgg,compact", help="default: %(default)s")
    parser.add_argument("--precisions", default=",".join(PRECISIONS), help="default: %(default)s")
    parser.add_argument("--xla", default="no,yes", help="default: %(default)s")
    parser.add_argument("--batch_sizes", default="", help=f"default: {BATCH_SIZES}")
    stretch_help = "images that are timed (default: %(default)s)"
    parser.add_argument("--stretch", type=int, default=40_000, help=stretch_help)
    parser.add_argument("--trainings", default=",".join(TRAININGS), help="default: %(default)s")
    parser.add_argument("--only_pipeline", action="store_true", help="no step with one batch")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    add_common(parser)
    options = parser.parse_args(arguments)
    tell_machine()
    with tempfile.TemporaryDirectory() as folder:
        for stage in options.stages:
            seconds = seconds_of(lambda stage=stage: stages[stage](options, Path(folder)))
            print(f"({stage}: {seconds:.0f} s)\n", flush=True)


def tell_machine():
    """Print the cards and the versions; end here without a GPU."""
    from malaria.networks.backend import keras, tf

    if not tf.config.list_physical_devices("GPU"):
        sys.exit("TensorFlow sees no GPU here: python -m malaria doctor says why")
    for card in list_cards():
        print(f"{card.name}, driver {card.driver}, {card.free_memory} of {card.memory} MiB free")
    print(f"{os.cpu_count()} cores; TensorFlow {tf.__version__}, Keras {keras.__version__}\n")


def run_steps(options, folder):
    """Images per second of every step."""
    from malaria.settings.config_file import read_config
    from malaria.training.assembly import load_images, split

    print("| network | batch | precision | XLA | ready after | images/s | one batch | ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    for network in options.networks.split(","):
        known = [f"train_images={options.images}", f"output_models={folder}", "cache=disk"]
        config = read_config(TOP / CONFIGS[network], [*known, *options.set])
        images = split(config, load_images(config))
        sizes = options.batch_sizes.split(",") if options.batch_sizes else BATCH_SIZES[network]
        kinds = product(sizes, options.precisions.split(","), options.xla.split(","))
        for size, precision, xla in kinds:
            chosen = config.model_copy(update={"batch_size": int(size)})
            chosen = chosen.model_copy(
                update={"steps_per_epoch": max(20, options.stretch // chosen.batch_size)}
            )
            row = measure(chosen, images, precision, xla == "yes", options.only_pipeline)
            print(f"| {network} | {size} | {precision} | {xla} | {row} |", flush=True)


def measure(config, images, precision, xla, only_pipeline):
    """Seconds until the first step is done, images/s with the pipeline and without, their ratio."""
    from malaria.networks.backend import keras
    from malaria.training.assembly import build, make_learner, make_pipeline
    from malaria.training.devices import choose_device

    device = replace(choose_device("auto", False), precision=precision, xla=xla)
    started = time.perf_counter()
    pipeline = make_pipeline(config, device, images)
    model = build(config, device, images)
    learner = make_learner(config, device, model, pipeline)
    take(learner, replace(pipeline.train(0), count=1))
    ready = time.perf_counter() - started
    real = rate_of(learner, config)
    if only_pipeline:
        return f"{ready:.1f} s | {real:.0f} | | "
    constant = rate_of(make_learner(config, device, model, with_one_batch(pipeline)), config)
    keras.backend.clear_session()
    return f"{ready:.1f} s | {real:.0f} | {constant:.0f} | {real / constant:.3f}"


def with_one_batch(pipeline):
    """The same with one and the same batch on the GPU at every step."""
    from malaria.networks.backend import tf

    with tf.device("GPU:0"):
        [made] = replace(pipeline, on_device=None).epoch_batches(0).take(1)
        made = made._replace(images=tf.identity(made.images))

    class OneBatch(type(pipeline)):
        def to_train(self, batch, on_device, size):
            return made

    return OneBatch(**{one.name: getattr(pipeline, one.name) for one in fields(pipeline)})


def rate_of(learner, config):
    """Images per second of an epoch, once the graph is built."""
    stream = learner.pipeline.train(1)
    warm = stream.count // 4
    take(learner, replace(stream, count=warm))
    left = replace(stream, count=stream.count - warm)
    return left.count * config.batch_size / seconds_of(lambda: take(learner, left))


def take(learner, stream):
    learner.train(stream, lambda steps: None)


def run_trainings(options, folder):
    """Each config from start to saved pair, and where the time goes."""
    for name in options.trainings.split(","):
        seconds, log = train(options, name, folder / Path(name).stem)
        print(f"{name}: {seconds:.1f} s from start to saved pair")
        print("\n".join(line for line in log if re.search("precision|/16:|/35:|/3:|: accur", line)))


def train(options, name, folder, *more):
    """(seconds, lines of stderr, each with the second in which it came) of a training."""
    command = [sys.executable, str(TOP / "train.py"), f"--config={TOP / name}"]
    settings = [f"train_images={options.images}", f"output_models={folder}", *options.set]
    for setting in settings:
        command += ["--set", setting]
    started, lines = time.perf_counter(), []
    with subprocess.Popen([*command, *more], stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            lines.append(f"  {time.perf_counter() - started:6.1f} s  {line.rstrip()}")
    if process.returncode:
        sys.exit("\n".join(lines[-20:]))
    return time.perf_counter() - started, lines


def run_classify(options, folder):
    """run.py by Keras over all files against reading alone; LiteRT's answers against Keras's."""
    from malaria.inference.load_classifier import load_classifier
    from malaria.pictures.folders import find_images

    model = TOP / "pretrained/vgg.h5"
    model = model if model.exists() else newest(folder / "config")
    paths = [str(path) for path in find_images(Path(options.images))]
    pixels = load_classifier(model).metadata.pixels
    reading = len(paths) / seconds_of(lambda: read_all(paths, pixels))
    rows, log = classify(model, paths, folder / "keras.csv", "--engine=keras")
    [rate] = [float(number) for line in log for number in re.findall(r"([\d.]+) images/s", line)]
    print(f"run.py --engine=keras, {model.stem}, {len(rows)} files: {rate:.0f} images/s")
    print(f"reading and resizing alone: {reading:.0f} images/s; ratio {rate / reading:.3f}")
    chosen = paths[:: max(1, len(paths) // COMPARED)]
    lite, _ = classify(model, chosen, folder / "litert.csv", "--engine=litert")
    far = max(abs(rows[path] - lite[path]) for path in lite)
    print(f"largest difference of LiteRT's probability of {len(lite)} files: {far:.6f}")


def read_all(paths, pixels):
    """Read and resize every image, in as many threads as run.py takes."""
    from malaria.pictures.images import read_image

    parts = [paths[start : start + 64] for start in range(0, len(paths), 64)]
    with ThreadPoolExecutor(worker_count()) as threads:
        for _ in threads.map(lambda part: [read_image(path, pixels) for path in part], parts):
            pass


def seconds_of(function):
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def classify(model, paths, output, *more):
    """({path: probability of Parasitized}, lines of stderr) of run.py."""
    listing = output.with_suffix(".txt")
    listing.write_text("\n".join(paths))
    command = [sys.executable, str(TOP / "run.py"), f"--model={model}", f"--image=@{listing}"]
    command += [f"--output={output}", "--count_only", "--no-guard", *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    with open(output, newline="", encoding="utf-8-sig") as file:
        rows = {row["path"]: float(row[COLUMN]) for row in csv.DictReader(file)}
    return rows, done.stderr.splitlines()


def run_resume(options, folder):
    """A deterministic training killed after an epoch, and gone on with, against one that is not."""
    settings = ["--set", "deterministic=true", "--set", "epochs=3", "--set", "steps_per_epoch=60"]
    train(options, "configs/compact.yaml", folder / "whole", *settings)
    command = [sys.executable, str(TOP / "train.py"), f"--config={TOP}/configs/compact.yaml"]
    command += ["--set", f"train_images={options.images}", "--set", f"output_models={folder}/cut"]
    with subprocess.Popen([*command, *settings], stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if line.startswith("epoch 1/"):
                process.send_signal(signal.SIGKILL)
    train(options, "configs/compact.yaml", folder / "cut", *settings, "--resume")
    whole, cut = (weights_of(newest(folder / name)) for name in ("whole", "cut"))
    same = all((one == other).all() for one, other in zip(whole, cut, strict=True))
    print(f"weights after kill -9 and --resume, deterministic: the same to the last bit: {same}")


def newest(folder):
    return max(folder.glob("*.h5"), key=lambda path: path.stat().st_mtime)


def weights_of(path):
    """All arrays of a .h5, in order."""
    found = []
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: found.append(item[()]) if isinstance(item, h5py.Dataset) else None
        )
    return [np.asarray(array) for array in found if np.asarray(array).dtype.kind == "f"]


def run_tests(options, folder):
    """The tests that a GPU concerns."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=TOP)
    print("\n".join(done.stdout.splitlines()[-12:]))


if __name__ == "__main__":
    sys.exit(run_script(main))
