"""gpu: the GPUs of this machine, and why TensorFlow sees none of them (no TensorFlow)."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

# The libraries that TensorFlow 2.21 opens before it registers a GPU, and their packages.
LIBRARIES = {
    "libcudart.so.12": "nvidia-cuda-runtime-cu12",
    "libcublas.so.12": "nvidia-cublas-cu12",
    "libcublasLt.so.12": "nvidia-cublas-cu12",
    "libcufft.so.11": "nvidia-cufft-cu12",
    "libcusolver.so.11": "nvidia-cusolver-cu12",
    "libcusparse.so.12": "nvidia-cusparse-cu12",
    "libcudnn.so.9": "nvidia-cudnn-cu12",
}
# The oldest driver that runs CUDA 12 (NVIDIA, "CUDA Toolkit Release Notes", minor version
# compatibility), and the least memory, MiB, that TensorFlow begins with.
OLDEST_DRIVER, LEAST_MEMORY = (525, 60), 400
INSTALL = "pip install -r requirements-gpu.txt"
# Opens libraries as TensorFlow does; in a process of its own, for a broken one may end it.
OPEN = """
import ctypes, json, os, sys
failures = {}
for name, path in json.loads(sys.argv[1]).items():
    try:
        ctypes.CDLL(path, mode=os.RTLD_NOW | os.RTLD_LOCAL)
    except OSError as error:
        failures[name] = str(error)
print(json.dumps(failures))
"""


@dataclass(frozen=True)
class Card:
    """A GPU as nvidia-smi describes it; memory in MiB."""

    name: str
    driver: str
    free_memory: int
    memory: int


def nvidia_smi_works() -> bool:
    """True if nvidia-smi is there and lists at least one GPU."""
    return "GPU" in _ask_driver("-L")


def list_cards() -> list[Card]:
    """The GPUs of this machine that the driver finds; none without a driver."""
    query = "--query-gpu=name,driver_version,memory.free,memory.total"
    answer = _ask_driver(query, "--format=csv,noheader,nounits")
    # Where the memory is not known it is [N/A].
    rows = re.findall(r"^(.+), (.+), (\d+), (\d+)\s*$", answer, re.MULTILINE)
    return [Card(name, driver, int(free), int(total)) for name, driver, free, total in rows]


def _ask_driver(*options: str) -> str:
    """The output of nvidia-smi; empty if it is not there or fails."""
    with suppress(OSError, subprocess.CalledProcessError):
        return subprocess.check_output(
            ["nvidia-smi", *options], stderr=subprocess.DEVNULL, text=True
        )
    return ""


def explain(*, is_built_for_cuda: bool, folders: Sequence[str] | None = None) -> str | None:
    """Why TensorFlow sees no GPU and what mends it, one line; None where nvidia-smi finds none.

    folders: where Python's packages are, if not in sys.path.
    """
    cards = list_cards()
    if not cards:
        return None
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None and not re.match(r"\d|GPU-|MIG-", hidden.strip()):
        return f"CUDA_VISIBLE_DEVICES is {hidden!r}, which hides every GPU: unset it"
    if not is_built_for_cuda:
        return f"the installed TensorFlow is the one for processors: {INSTALL}"
    card = cards[0]
    if tuple(map(int, re.findall(r"\d+", card.driver)[:2])) < OLDEST_DRIVER:
        oldest = ".".join(map(str, OLDEST_DRIVER))
        return f"its driver is {card.driver}, and CUDA 12 needs {oldest} or later: update it"
    failures = find_failures(sys.path if folders is None else folders)
    if failures:
        return "; ".join(_describe(name, failure) for name, failure in failures.items())
    if max(card.free_memory for card in cards) < LEAST_MEMORY:
        return (
            f"of its memory {card.free_memory} of {card.memory} MiB are free: end the process that "
            "holds it, which nvidia-smi names"
        )
    return "the reason is not known: TF_CPP_MIN_LOG_LEVEL=0 shows all that TensorFlow says of it"


def find_failures(folders: Sequence[str]) -> dict[str, str]:
    """{library: why it does not open, as the linker says} of those in LIBRARIES that do not."""
    paths = json.dumps({name: _find(name, folders) for name in LIBRARIES})
    command = [sys.executable, "-c", OPEN, paths]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        return {"a library of CUDA": f"ends the process that opens it ({answer.returncode})"}
    failures: dict[str, str] = json.loads(answer.stdout)
    return failures


def _find(name: str, folders: Sequence[str]) -> str:
    """Where TensorFlow looks for a library first: in NVIDIA's packages; else its mere name."""
    for folder in folders:
        for path in sorted(Path(folder, "nvidia").glob(f"*/lib/{name}")):
            return str(path)
    return name


def _describe(name: str, failure: str) -> str:
    """The meaning of a linker's message, and the command that mends it."""
    remedy = f"pip install --force-reinstall {LIBRARIES[name]}" if name in LIBRARIES else INSTALL
    if symbol := re.search(r"undefined symbol: ([^,\s]+)", failure):
        return (
            f"{name} misses the symbol {symbol[1]}: it and a library it needs are of different "
            f"versions: {remedy}"
        )
    if absent := re.match(r"([^:\s]+): cannot open shared object file", failure):
        missing = Path(absent[1]).name
        what = name if missing == name else f"{name} needs {missing}, which"
        return f"{what} is not installed: {INSTALL}"
    return f"{name} does not open ({failure}): {remedy}"
