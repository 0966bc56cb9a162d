"""doctor: hardware and packages for training and classifying, and the cost of missing ones."""

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence

from malaria import __version__
from malaria.base.gpu import explain, list_cards
from malaria.base.machine import has_bfloat16, usable_cores, usable_memory
from malaria.base.text import printable
from malaria.cli.command import Parser, add_common

PACKAGES = ("tensorflow", "tensorflow-cpu", "keras", "numpy", "pillow", "scikit-image")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "firefox")
# What TensorFlow says of itself and of the GPUs it sees, asked in another process: it takes
# seconds, and may end with a broken CUDA.
ASK = """
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf
build = tf.sysconfig.get_build_info()
print(build.get("is_cuda_build"), build.get("cuda_version", "-"), build.get("cudnn_version", "-"))
print(len(tf.config.list_physical_devices("GPU")))
"""


def main(arguments: Sequence[str]) -> int:
    """Print what was found; 1 if training is not possible, or a GPU that is there is not used."""
    parser = Parser(
        prog="python -m malaria doctor",
        description="Report what this machine has for training and classifying.",
        epilog="example: python -m malaria doctor",
    )
    add_common(parser)
    parser.parse_args(arguments)
    lines = list(examine())
    widths = [max(len(line[column]) for line in lines) for column in (0, 1)]
    for what, found, note in lines:
        print(f"{what:<{widths[0]}}  {printable(found):<{widths[1]}}  {printable(note)}".rstrip())
    return 1 if any(note.startswith("error: ") for _, _, note in lines) else 0


def examine() -> Iterator[tuple[str, str, str]]:
    """Lines: what it is about, what was found, what that costs or how to mend it."""
    yield "malaria", __version__, ""
    yield "Python", f"{platform.python_version()}, {sys.executable}", ""
    for name in PACKAGES:
        if version := _version_of(name):
            yield name, version, ""
    litert = _version_of("ai-edge-litert")
    cost = "" if litert else "classifying takes TensorFlow: 4 s to begin, 600 MB"
    yield "LiteRT", litert or "missing", cost
    yield "cores", str(usable_cores()), ""
    yield "memory", f"{usable_memory() / 2**30:.1f} GiB", ""
    units = has_bfloat16()
    cost = "" if units else "training computes in float32: vgg takes about 2.5 times as long"
    yield "bfloat16 units (AMX)", "yes" if units else "no", cost
    yield from _tensorflow()
    browser = next(filter(None, map(shutil.which, BROWSERS)), os.environ.get("BROWSER"))
    cost = "" if browser else "copy the HTML report to a machine that has one"
    yield "browser", browser or "none", cost


def _tensorflow() -> Iterator[tuple[str, str, str]]:
    command = [sys.executable, "-c", ASK]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    words = answer.stdout.split()
    if len(words) != 4:
        yield "TensorFlow", "does not start", "error: no training: bash setup.sh, or --debug of it"
        return
    is_cuda, cuda, cudnn, seen = words[0] == "True", words[1], words[2], int(words[3])
    yield "TensorFlow is for", f"CUDA {cuda}, cuDNN {cudnn}" if is_cuda else "processors", ""
    cards = list_cards()
    for card in cards:
        memory = f"{card.free_memory:,} of {card.memory:,} MiB free"
        yield "GPU", f"{card.name}, driver {card.driver}, {memory}", ""
    if not cards:
        yield "GPU", "none", "config.yaml takes 25 minutes on two cores with AMX, 65 without"
    elif seen:
        yield "GPUs that TensorFlow sees", str(seen), ""
    else:
        yield "GPUs that TensorFlow sees", "none", f"error: {explain(is_built_for_cuda=is_cuda)}"


def _version_of(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
