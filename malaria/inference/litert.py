"""litert: a .tflite as a function, run by LiteRT, which starts in a fifth of a second."""

from collections import deque
from pathlib import Path

import numpy as np

from malaria.base.streams import stderr_kept_back


def is_available() -> bool:
    """Whether LiteRT can be imported here; there is none for some platforms."""
    try:
        import ai_edge_litert.interpreter  # noqa: F401  a fifth of a second, only when needed
    except ImportError:
        return False
    return True


class LiteRTNetwork:
    """A .tflite as a function: (n, height, width, 3) float32 -> its outputs, (n, k) float32.

    Several threads may call it at once, each with an interpreter of its own; one is made where all
    are at work. Two that work on a batch each are done sooner than one batch shared by two, whose
    threads wait for each other. cores: of one interpreter.
    """

    def __init__(self, path: Path, cores: int = 1) -> None:
        self.path, self.cores = path, cores
        first = _Interpreter(path, cores)
        self.output_count = first.output_count
        self.idle = deque([first])

    def __call__(self, images: np.ndarray) -> np.ndarray:
        try:
            interpreter = self.idle.pop()
        except IndexError:
            interpreter = _Interpreter(self.path, self.cores)
        outputs = interpreter(images)
        self.idle.append(interpreter)
        return outputs


class _Interpreter:
    """LiteRT with one .tflite, for one thread.

    Fewer images than the largest batch so far are filled up to it: to change the size of a batch
    costs more than to compute some images in vain.
    """

    def __init__(self, path: Path, cores: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        with stderr_kept_back():
            self.interpreter = Interpreter(model_path=str(path), num_threads=cores)
        self.batch = 0
        [entry] = self.interpreter.get_input_details()
        [exit_] = self.interpreter.get_output_details()
        self.input, self.output = entry["index"], exit_["index"]
        self.output_count = int(exit_["shape_signature"][-1])

    def __call__(self, images: np.ndarray) -> np.ndarray:
        if len(images) > self.batch:
            self._resize(images.shape)
        missing = self.batch - len(images)
        if missing:
            images = np.concatenate([images, np.zeros((missing, *images.shape[1:]), np.float32)])
        self.interpreter.set_tensor(self.input, images)
        self.interpreter.invoke()
        outputs: np.ndarray = self.interpreter.get_tensor(self.output)
        return outputs[: self.batch - missing]

    def _resize(self, shape: tuple[int, ...]) -> None:
        self.batch = shape[0]
        self.interpreter.resize_tensor_input(self.input, shape)
        with stderr_kept_back():
            self.interpreter.allocate_tensors()
