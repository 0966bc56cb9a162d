"""trial: whether a network answers a picture at all, tried before its user's pictures are."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from malaria.base.errors import UserError
from malaria.base.text import shorten
from malaria.inference import litert
from malaria.inference.predict import are_probabilities
from malaria.pictures.images import read_image

if TYPE_CHECKING:
    from malaria.inference.classifier import Classifier

# EfficientNetB7 at 600 px needs two on two cores; what needs more is no network for cells.
SECONDS = 5
# Of address space, beyond what the process has when it begins.
MEMORY_BYTES = 2**31
# Of every grey level; not numpy.random's, which takes a hundredth of a second to import.
PICTURE = (np.arange(64 * 64 * 3) * 97 % 256).astype(np.uint8).reshape(64, 64, 3)


def check_answer(classifier: "Classifier") -> None:
    """Raise UserError unless the classifier gives probabilities for a trial picture."""
    image = read_image(PICTURE, classifier.metadata.pixels)
    [row] = classifier.predict(image[np.newaxis]).tolist()
    if not are_probabilities(row):
        name = classifier.pair.weights if classifier.pair else "the network"
        raise UserError(
            f"{name}: expected probabilities for a trial picture, received {row}: weights that are "
            "damaged or too large, or another --scale"
        )


def try_apart(path: Path) -> None:
    """Let a .tflite answer one picture in a process of its own, which it may hang or kill.

    Raises UserError with the reason, after SECONDS at the latest.
    """
    import subprocess  # late, for most models need no trial apart

    # Not python -m, which would look for modules in the current folder first.
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; from malaria.inference.trial import main; "
        f"main({str(path)!r})"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise UserError(
            f"{path}: no answer to a trial picture within {SECONDS} seconds: expected the .tflite "
            "of a network for cells"
        ) from None
    if done.returncode != 0:
        reason = done.stdout.decode("utf-8", "replace").strip()
        raise UserError(
            reason or f"{path}: LiteRT failed at a trial picture: damaged, or too much memory"
        )


def main(path: str) -> None:
    """What `try_apart` runs: print the reason and exit with 1 where there is no answer."""
    try:
        network = litert.LiteRTNetwork(Path(path))
        _limit_memory()
        [entry] = network.idle[0].interpreter.get_input_details()
        network(np.zeros(entry["shape"], np.float32))
    except UserError as error:
        reason = str(error)
    except (MemoryError, *litert.BAD_TFLITE) as error:
        reason = f"{path}: LiteRT cannot use it: {shorten(error, 200)}"
    else:
        return
    print(reason)
    sys.exit(1)


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # on Windows there is none
        return
    with suppress(OSError):  # macOS has no such file, and no such limit either
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        limit = pages * resource.getpagesize() + MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
