"""lite: a network as a .tflite, sealed to its pair, and run by LiteRT (no TensorFlow)."""

import hashlib
import json
import os
from collections import deque
from pathlib import Path

import numpy as np

from malaria.base.errors import UserError
from malaria.base.files import whole_file
from malaria.base.streams import stderr_kept_back
from malaria.saved.metadata import KEY

# A .tflite ends in this mark, the digest of its pair and the digest of what stands before.
# LiteRT passes over what follows its own data.
MARK = b"malaria1"
SEAL_BYTES = len(MARK) + 2 * 32


def digest_pair(weights_sha256, architecture):
    """What a .tflite is sealed with: 32 bytes, of the .h5 and of the network in the .json.

    architecture: the content of the .json, whose passport does not count.
    """
    network = {key: value for key, value in architecture.items() if key != KEY}
    text = json.dumps(network, sort_keys=True) + weights_sha256
    return hashlib.sha256(text.encode()).digest()


def write_sealed(path, content, digest):
    """Write the bytes of a .tflite, sealed, whole or not at all. Raises UserError."""
    with whole_file(path) as temporary:
        temporary.write_bytes(content + MARK + digest + hashlib.sha256(content).digest())


def find_sealed(pair, digest):
    """The path of a whole .tflite of exactly this pair, beside it or in the cache, or None."""
    if _is_sealed(pair.tflite, digest):
        return pair.tflite
    cached = cache_path(digest)
    return cached if _is_sealed(cached, digest) else None


def _is_sealed(path, digest):
    try:
        if not path.is_file():
            return False
        with open(path, "rb") as file:
            body = hashlib.sha256()
            left = path.stat().st_size - SEAL_BYTES
            while left > 0 and (block := file.read(min(left, 1 << 20))):
                body.update(block)
                left -= len(block)
            return file.read() == MARK + digest + body.digest()
    except OSError:
        return False


def cache_path(digest):
    """Where the .tflite of a pair in a read-only folder is kept."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "malaria" / f"{digest.hex()}.tflite"


def keep_sealed(pair, content, digest):
    """Write the .tflite beside its pair, or in the cache if that cannot be; return its path.

    What may lie beside the pair was not sealed to it, or find_sealed would have found it.
    """
    try:
        write_sealed(pair.tflite, content, digest)
    except UserError:
        write_sealed(cache_path(digest), content, digest)
        return cache_path(digest)
    return pair.tflite


def is_available():
    """Whether LiteRT can be imported here; there is none for some platforms."""
    try:
        import ai_edge_litert.interpreter  # noqa: F401  a fifth of a second, only when needed
    except ImportError:
        return False
    return True


class LiteNetwork:
    """A .tflite as a function: (n, height, width, 3) float32 -> its outputs, (n, k) float32.

    Several threads may call it at once, each with an interpreter of its own; one is made where all
    are at work. Two that work on a batch each are done sooner than one batch shared by two, whose
    threads wait for each other. cores: of one interpreter.
    """

    def __init__(self, path, cores=1):
        self.path, self.cores = path, cores
        first = _Interpreter(path, cores)
        self.output_count = first.output_count
        self.idle = deque([first])

    def __call__(self, images):
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

    def __init__(self, path, cores):
        from ai_edge_litert.interpreter import Interpreter

        with stderr_kept_back():
            self.interpreter = Interpreter(model_path=str(path), num_threads=cores)
        self.batch = 0
        [entry] = self.interpreter.get_input_details()
        [exit_] = self.interpreter.get_output_details()
        self.input, self.output = entry["index"], exit_["index"]
        self.output_count = int(exit_["shape_signature"][-1])

    def __call__(self, images):
        if len(images) > self.batch:
            self._resize(images.shape)
        missing = self.batch - len(images)
        if missing:
            images = np.concatenate([images, np.zeros((missing, *images.shape[1:]), np.float32)])
        self.interpreter.set_tensor(self.input, images)
        self.interpreter.invoke()
        return self.interpreter.get_tensor(self.output)[: self.batch - missing]

    def _resize(self, shape):
        self.batch = shape[0]
        self.interpreter.resize_tensor_input(self.input, shape)
        with stderr_kept_back():
            self.interpreter.allocate_tensors()
