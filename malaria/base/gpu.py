"""gpu: the GPUs of this machine, and why TensorFlow sees none of them (no TensorFlow)."""

import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from malaria.base.programs import NoAnswerError, TimeLimitError, ask
from malaria.base.streams import log
from malaria.base.text import quote, shorten

# The libraries that TensorFlow 2.21 opens before it registers a GPU, and their packages, which 2.22
# requires too.
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
# How long nvidia-smi may take, seconds, as it does where many cards sleep; and to open LIBRARIES.
DRIVER_SECONDS, OPEN_SECONDS = 10, 60
INSTALL = "pip install -r requirements-gpu.txt"
QUERY = (
    "--query-gpu=name,driver_version,memory.free,memory.total",
    "--format=csv,noheader,nounits",
)
# Opens libraries as TensorFlow does; in a process of its own, for a broken one may end it.
OPEN = """
import ctypes, json, os, sys
failures = {}
for name, path in json.loads(sys.argv[1]).items():
    try:
        ctypes.CDLL(path, mode=os.RTLD_NOW | os.RTLD_LOCAL)
    except OSError as error:
        failures[name] = str(error)
print("\\n" + json.dumps(failures))
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
    return re.search("^GPU [0-9]", _ask_or_go_on("-L"), re.MULTILINE) is not None


def list_cards() -> list[Card]:
    """The GPUs of this machine that the driver finds; none where it finds or answers nothing."""
    return _read_cards(_ask_or_go_on(*QUERY))


def find_cards() -> list[Card]:
    """The GPUs that the driver finds; none without nvidia-smi. Raises NoAnswerError if it fails."""
    return _read_cards(_ask_driver(*QUERY))


def _read_cards(answer: str) -> list[Card]:
    rows = (line.rsplit(", ", 3) for line in answer.splitlines())
    # Where the memory is not known it is [N/A].
    known = (row for row in rows if re.fullmatch(r"[0-9]{1,9} [0-9]{1,9}\s*", " ".join(row[2:])))
    return [
        Card(shorten(name, 80), shorten(driver, 40), int(free), int(total))
        for name, driver, free, total in known
    ]


def _ask_driver(*options: str) -> str:
    """What nvidia-smi prints; nothing if it is not there. Raises NoAnswerError if it fails."""
    if not any(os.path.lexists(Path(folder, "nvidia-smi")) for folder in os.get_exec_path()):
        return ""
    return ask(["nvidia-smi", *options], DRIVER_SECONDS)


def _ask_or_go_on(*options: str) -> str:
    """The same, or nothing where it fails, as it does without a GPU; one that hangs is told."""
    try:
        return _ask_driver(*options)
    except TimeLimitError as error:
        log(f"nvidia-smi {error}: going on as without a GPU")
    except NoAnswerError:
        pass
    return ""


def explain(
    cards: Sequence[Card], *, is_built_for_cuda: bool, folders: Sequence[str] | None = None
) -> str | None:
    """Why TensorFlow sees none of these cards and what mends it, one line; None of no card.

    folders: where Python's packages are, if not in sys.path.
    """
    if not cards:
        return None
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and _hides_all(visible, len(cards)):
        return f"CUDA_VISIBLE_DEVICES is {quote(visible)}, which hides every GPU: unset it"
    if not is_built_for_cuda:
        return f"the installed TensorFlow is the one for processors: {INSTALL}"
    card = cards[0]
    if tuple(map(int, re.findall("[0-9]+", card.driver)[:2])) < OLDEST_DRIVER:
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


def _hides_all(visible: str, count: int) -> bool:
    """True if CUDA_VISIBLE_DEVICES begins with none of `count` GPUs; CUDA reads no further then.

    Of a GPU that is named by its UUID, False.
    """
    if number := re.match("[0-9]{1,9}", visible.strip()):
        return int(number[0]) >= count
    return not visible.strip().startswith(("GPU-", "MIG-"))


def find_failures(folders: Sequence[str]) -> dict[str, str]:
    """{library: why it does not open, as the linker says} of those in LIBRARIES that do not."""
    paths = json.dumps({name: _find(name, folders) for name in LIBRARIES})
    try:
        answer = ask([sys.executable, "-c", OPEN, paths], OPEN_SECONDS)
    except NoAnswerError as error:
        return {"a library of CUDA": f"what opened it {error}"}
    failures: dict[str, str] = json.loads(answer.splitlines()[-1])
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
