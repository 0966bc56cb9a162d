"""trial: whether a network answers an image at all, tried before its user's images are."""

import sys
from contextlib import suppress
from pathlib import Path

import numpy as np

from malaria.base.errors import UserError
from malaria.base.files import sha256_of
from malaria.base.text import shorten
from malaria.inference import litert
from malaria.inference.predict import are_probabilities
from malaria.inference.trained_model import TrainedModel
from malaria.pictures.images import read_image
from malaria.saved.tflite import is_tried, note_tried

# EfficientNetB7 at 600 px needs two on two cores; what needs more is no network for cells.
SECONDS = 5
# Of address space, beyond what the process has when it begins.
MEMORY_BYTES = 2**31
# The side, pixels, for a network that takes any.
ANY = 64
# Of every grey level; not numpy.random's, which takes a hundredth of a second to import.
IMAGE = (np.arange(64 * 64 * 3) * 97 % 256).astype(np.uint8).reshape(64, 64, 3)
# What networks for images consist of: no loops, calls or lookups, which could run for ever or fill
# the memory.
OPERATORS = {
    *("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "ADD", "SUB", "MUL"),
    *("DIV", "MAX_POOL_2D", "AVERAGE_POOL_2D", "MEAN", "REDUCE_MAX", "SUM", "RELU", "RELU6"),
    *("RELU_N1_TO_1", "LEAKY_RELU", "PRELU", "ELU", "HARD_SWISH", "GELU", "TANH", "LOGISTIC"),
    *("SOFTMAX", "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "CONCATENATION", "PAD", "PADV2", "MAXIMUM"),
    *("MINIMUM", "RSQRT", "SQRT", "SQUARED_DIFFERENCE", "BATCH_MATMUL", "TRANSPOSE", "SHAPE"),
    *("STRIDED_SLICE", "PACK", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "QUANTIZE"),
    *("DEQUANTIZE", "CAST", "EXP", "NEG", "ABS", "POW", "SLICE", "TILE"),
}


def check_answer(model: TrainedModel) -> None:
    """Raise UserError unless the model gives probabilities for a trial image."""
    image = read_image(IMAGE, model.metadata.pixels)
    try:
        [row] = model.predict(image[np.newaxis]).tolist()
    except Exception as error:  # a stranger's settings fail in as many ways as there are layers
        row = shorten(error, 200)
    if isinstance(row, str) or not are_probabilities(row):
        name = model.pair.weights if model.pair else "the network"
        raise UserError(
            f"{name}: expected probabilities for a trial image, received {row}: its last layer is "
            "no sigmoid or softmax, its weights are damaged, or it takes another --scale"
        )


def try_once(path: Path, side: int = ANY) -> None:
    """`try_apart` for a .tflite that is new to this user."""
    sha256 = sha256_of(path)
    if not is_tried(sha256):
        try_apart(path, side)
        note_tried(sha256)


def try_apart(path: Path, side: int = ANY) -> None:
    """Let a .tflite answer one image in a process of its own, which it may hang or kill.

    side: of the image, pixels, for a network that takes any.
    Raises UserError with the reason, after SECONDS at the latest.
    """
    import subprocess  # late, for most models need no trial apart

    # Not python -m, which would look for modules in the current folder first.
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; from malaria.inference.trial import main; "
        f"main({str(path)!r}, {side})"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise UserError(
            f"{path}: no answer to a trial image within {SECONDS} seconds: expected the .tflite "
            "of a network for cells"
        ) from None
    if done.returncode != 0:
        reason = done.stdout.decode("utf-8", "replace").strip()
        raise UserError(
            reason or f"{path}: LiteRT failed at a trial image: damaged, or too much memory"
        )


def main(path: str, any_side: int) -> None:
    """Run by `try_apart`: print the reason and exit with 1 where there is no answer."""
    try:
        network = litert.LiteRTNetwork(Path(path))
        _limit_memory()
        if unknown := sorted(set(litert.read_operators(Path(path))) - OPERATORS):
            raise UserError(
                f"{path}: expected the operators of a plain network, received "
                f"{', '.join(unknown[:5])}"
            )
        sides = (side if side > 0 else any_side for side in network.image_shape)
        network(np.zeros((1, *sides), np.float32))
    except UserError as error:
        reason = str(error)
    except (MemoryError, *litert.BAD_TFLITE) as error:
        reason = f"{path}: LiteRT cannot use it: {shorten(error, 200)}"
    else:
        return
    print(reason)
    sys.exit(1)


def _limit_memory() -> None:
    # Windows has no such module; macOS has no such file, and no such limit either.
    with suppress(ImportError, OSError):
        import resource

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        limit = pages * resource.getpagesize() + MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
