"""litert: a .tflite as a Network, run by LiteRT, which starts in a fifth of a second."""

import math
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from malaria.base.errors import UserError
from malaria.base.streams import stderr_kept_back
from malaria.base.text import shorten
from malaria.inference.network import BATCH_SIZE
from malaria.saved.tflite import FEATURES, OUTPUT

# Of one tensor and of all together, weights included, for one image.
MAX_TENSOR_BYTES, MAX_BYTES = 2**28, 2**31
# What the tensors of a batch may take; the original's network at 141 px: 370 MB.
BATCH_BYTES = 2**29
# The last operator that changes numbers tells the activation; some write the softmax as a division.
PASSING = ("RESHAPE", "SQUEEZE", "DEQUANTIZE", "QUANTIZE", "CAST")
ACTIVATIONS = {"LOGISTIC": "sigmoid", "SOFTMAX": "softmax", "DIV": "softmax"}
# Of what a .tflite can do, by the name that TensorFlow gives the only thing that ours can.
SIGNATURE = "serving_default"
# All that LiteRT was seen to raise for a damaged file, whose names may be no text either.
BAD_TFLITE = (ValueError, RuntimeError, TypeError, IndexError)


def is_available() -> bool:
    """True if LiteRT can be imported here; there is none for some platforms."""
    try:
        import ai_edge_litert.interpreter  # noqa: F401  a fifth of a second, only when needed
    except ImportError:
        return False
    return True


def describe_ends(path: Path) -> dict[str, Any]:
    """The input and the last activation of a stranger's .tflite, as an architecture says them.

    Raises UserError unless it takes an image of fixed size. Nothing is run for it.
    """
    with one_line_errors(path):
        interpreter = _Interpreter(path)
        [start] = interpreter.interpreter.get_input_details()
        end = interpreter.ends[0]
    shape = start["shape"].tolist()
    if len(shape) != 4 or len(end["shape"]) != 2:
        raise UserError(
            f"{path}: expected an input (n, height, width, channels) and an output (n, k), "
            f"received {shape} and {end['shape'].tolist()}"
        )
    steps = [name for name in read_operators(path) if name not in PASSING]
    activation = ACTIVATIONS.get(steps[-1] if steps else "", "linear")
    end = {"units": int(end["shape"][-1]), "activation": activation}
    layers = [
        {"class_name": "InputLayer", "config": {"batch_shape": [None, *shape[1:]]}},
        {"class_name": "Dense", "config": end},
    ]
    return {"config": {"layers": layers}}


def read_operators(path: Path) -> list[str]:
    """The names of all operators of a .tflite, in order. Raises UserError for a damaged file."""
    # A damaged flatbuffer fails in as many ways as it has fields.
    with one_line_errors(path, (Exception,)):
        # Tried with 2.1.0 and 2.3.0; without it every .tflite that needs a trial is refused.
        from ai_edge_litert import schema_py_generated as schema

        names = {number: name for name, number in vars(schema.BuiltinOperator).items()}
        model = schema.Model.GetRootAs(path.read_bytes())
        graph = model.Subgraphs(0)
        codes = [model.OperatorCodes(place) for place in range(model.OperatorCodesLength())]
        # The older of the two fields holds the first 127 operators only.
        kinds = [names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())] for code in codes]
        steps = [graph.Operators(place) for place in range(graph.OperatorsLength())]
        return [kinds[step.OpcodeIndex()] for step in steps]


@contextmanager
def one_line_errors(path: Path, errors: tuple[type[Exception], ...] = BAD_TFLITE) -> Iterator[None]:
    """Raise UserError in place of what a damaged .tflite makes LiteRT raise."""
    try:
        yield
    except errors as error:
        raise UserError(f"cannot read {path}: expected a .tflite: {shorten(error, 200)}") from None


def _memory_of(interpreter: Any, path: Path) -> int:
    """The bytes of all tensors, weights included, for one image: more than a further one takes.

    Raises UserError for more than a network for cells needs.
    """
    sizes = []
    for entry in interpreter.get_tensor_details():
        sides = [max(1, side) for side in entry["shape"].tolist()]
        sizes.append(math.prod(sides) * np.dtype(entry["dtype"]).itemsize)
    if max(sizes) > MAX_TENSOR_BYTES or sum(sizes) > MAX_BYTES:
        raise UserError(f"{path}: its tensors would take {sum(sizes):,} bytes of memory")
    return sum(sizes)


def _find_ends(interpreter: Any, path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The input, and the outputs: the network's own and, where there are any, its features.

    Raises UserError for others, and for numbers that are no floats.
    """
    starts, ends = interpreter.get_input_details(), interpreter.get_output_details()
    names = interpreter.get_signature_list().get(SIGNATURE, {}).get("outputs", [])
    if sorted(names) == sorted((OUTPUT, FEATURES)):
        known = interpreter.get_signature_runner(SIGNATURE).get_output_details()
        ends = [known[OUTPUT], known[FEATURES]]
    elif (len(starts), len(ends)) != (1, 1):
        received = f"{len(starts)} and {len(ends)}"
        raise UserError(f"{path}: expected one input and one output, received {received}")
    for kind in (np.dtype(end["dtype"]) for end in (*starts, *ends)):
        if kind != np.float32:
            raise UserError(
                f"{path}: expected images and answers of float32, received {kind}: export it "
                "without quantization, or with floats at its ends"
            )
    return starts[0], ends


class LiteRTNetwork:
    """A .tflite as a Network.

    Each thread that calls it has an interpreter of its own; one is made where all are at work. Two
    that work on a batch each are done sooner than one batch shared by two, whose threads wait for
    each other. cores: of one interpreter. content: of the file, where that lies on another machine.
    image_shape: (height, width, channels), -1 where it takes any.
    """

    def __init__(self, path: Path, cores: int = 1, content: bytes | None = None) -> None:
        self.path, self.cores, self.content = path, cores, content
        with one_line_errors(path):
            first = _Interpreter(path, cores, content)
            memory = _memory_of(first.interpreter, path)
        self.batch_size = first.fixed or min(BATCH_SIZE, max(1, BATCH_BYTES // memory))
        if first.fixed == 1:
            self.batch_size = BATCH_SIZE  # one after another, in each of several threads
        self.image_shape = first.image_shape
        self.output_count, self.feature_count = first.output_count, first.feature_count
        self._idle = deque([first])

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """See Network."""
        try:
            interpreter = self._idle.pop()
        except IndexError:
            interpreter = _Interpreter(self.path, self.cores, self.content)
        outputs = interpreter(images)
        self._idle.append(interpreter)
        return outputs


class _Interpreter:
    """LiteRT with one .tflite, for one thread.

    Fewer images than the largest batch so far are filled up to it: to change the size of a batch
    costs more than to compute some images in vain. fixed: the batch of a network that takes no
    other, or 0.
    """

    def __init__(self, path: Path, cores: int = 1, content: bytes | None = None) -> None:
        from ai_edge_litert.interpreter import Interpreter

        source = {"model_path": str(path)} if content is None else {"model_content": content}
        with stderr_kept_back():
            self.interpreter = Interpreter(num_threads=cores, **source)
        self.batch = 0
        entry, self.ends = _find_ends(self.interpreter, path)
        self.input = entry["index"]
        self.fixed = max(0, int(entry["shape_signature"][0]))
        self.image_shape = tuple(entry["shape_signature"].tolist()[1:])
        counts = [int(end["shape_signature"][-1]) for end in self.ends]
        self.output_count, self.feature_count = counts[0], sum(counts[1:])

    def __call__(self, images: np.ndarray) -> np.ndarray:
        count = len(images)
        if self.fixed and count > self.fixed:
            parts = range(0, count, self.fixed)
            return np.concatenate([self(images[start : start + self.fixed]) for start in parts])
        if count > self.batch:
            self.batch = self.fixed or count
            if not self.fixed:
                self.interpreter.resize_tensor_input(self.input, images.shape)
            with stderr_kept_back():
                self.interpreter.allocate_tensors()
        if count < self.batch:
            filling = np.zeros((self.batch - count, *images.shape[1:]), np.float32)
            images = np.concatenate([images, filling])
        self.interpreter.set_tensor(self.input, images)
        self.interpreter.invoke()
        outputs = [self.interpreter.get_tensor(end["index"])[:count] for end in self.ends]
        return np.concatenate(outputs, axis=1)
