"""doctor: hardware and packages for training and classifying, and the cost of missing ones."""

import importlib.metadata
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator, Sequence

from malaria import __version__
from malaria.base.gpu import explain, find_cards
from malaria.base.machine import has_bfloat16, usable_cores, usable_memory
from malaria.base.programs import NoAnswerError, TimeLimitError, ask
from malaria.base.streams import log
from malaria.base.text import printable, quote, shorten
from malaria.cli.command import Parser, add_common

PACKAGES = ("tensorflow", "tensorflow-cpu", "keras", "numpy", "pillow", "scikit-learn")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "firefox")
# What TensorFlow says of itself and of the GPUs it sees, asked in another process: it takes
# seconds, and may end with a broken CUDA. 2.22 does not say which CUDA and cuDNN it is for.
ASK = """
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf
build = tf.sysconfig.get_build_info()
versions = build.get("cuda_version", "?"), build.get("cudnn_version", "?")
print()
print(build.get("is_cuda_build"), *versions, len(tf.config.list_physical_devices("GPU")))
"""
# How long that may take, seconds: half a minute from a slow disk.
TENSORFLOW_SECONDS = 120
REMEDY = "install it anew: rm -r .venv && bash setup.sh"
TIMES = (
    "config.yaml takes 25 minutes on two cores with AMX, 64 to 66 without; configs/compact.yaml one"
)


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
    yield "browser", *_browser()


def _tensorflow() -> Iterator[tuple[str, str, str]]:
    log(f"waiting for TensorFlow: some seconds, {TENSORFLOW_SECONDS} at most")
    try:
        answer = ask([sys.executable, "-c", ASK], TENSORFLOW_SECONDS)
    except NoAnswerError as error:
        yield "TensorFlow", "does not start", f"error: no training, for it {error}; {REMEDY}"
        return
    told = re.search(r"^(True|False) (\S+) (\S+) ([0-9]{1,9})$", answer, re.MULTILINE)
    if told is None:
        yield "TensorFlow", "is not known", f"error: it does not say what it is for: {REMEDY}"
        return
    is_cuda, cuda, cudnn, seen = told[1] == "True", told[2], told[3], int(told[4])
    yield "TensorFlow is for", f"CUDA {cuda}, cuDNN {cudnn}" if is_cuda else "processors", ""
    yield from _gpus(seen, is_built_for_cuda=is_cuda)


def _gpus(seen: int, *, is_built_for_cuda: bool) -> Iterator[tuple[str, str, str]]:
    cards, found, note = [], "none", TIMES
    try:
        cards = find_cards()
    except NoAnswerError as error:
        is_ill = isinstance(error, TimeLimitError) and not seen
        found, note = "not known", f"{'error: ' if is_ill else ''}nvidia-smi {error}"
    for card in cards:
        memory = f"{card.free_memory:,} of {card.memory:,} MiB free"
        yield "GPU", f"{card.name}, driver {card.driver}, {memory}", ""
    if not cards:
        yield "GPU", found, note
    if seen:
        yield "GPUs that TensorFlow sees", str(seen), ""
    elif cards:
        reason = explain(cards, is_built_for_cuda=is_built_for_cuda)
        yield "GPUs that TensorFlow sees", "none", f"error: {reason}"


def _browser() -> tuple[str, str]:
    # As Python's webbrowser reads it: several, each perhaps with options.
    named = os.environ.get("BROWSER", "")
    own = (words[0] for words in map(str.split, named.split(os.pathsep)) if words)
    if found := next(filter(None, map(shutil.which, (*BROWSERS, *own))), None):
        return found, ""
    note = f"BROWSER is {quote(named)}, which is no program; " if named else ""
    return "none", f"{note}copy the HTML report to a machine that has one"


def _version_of(package: str) -> str | None:
    try:
        return importlib.metadata.version(package) or "damaged: it has no version"
    except importlib.metadata.PackageNotFoundError:
        return None
    except Exception as error:  # whatever a damaged package may lead to
        return f"damaged: {shorten(error, 80)}"
