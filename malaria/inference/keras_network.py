"""keras_network: the network of a pair run by Keras, which knows GPUs and starts in seconds.

TensorFlow comes with the first one that is made, so that LiteRT need not wait for it.
"""

import threading
from pathlib import Path

import numpy as np

from malaria.inference.network import BATCH_SIZE
from malaria.saved import tflite
from malaria.saved.pair import Architecture, Pair


class KerasNetwork:
    """A Keras model as a Network, for one thread at a time: it is built when it is first asked.

    missing: the digest of the pair, of which the cache has no .tflite yet and should have one.
    """

    def __init__(self, pair: Pair, architecture: Architecture, *, missing: str | None) -> None:
        from malaria.networks.ask import images_at_once
        from malaria.networks.load_model import load_model

        self.model = load_model(pair, architecture)
        self.output_count: int = self.model.output_shape[-1]
        self.batch_size = images_at_once() or BATCH_SIZE
        self.missing = missing
        self._lock = threading.Lock()

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """(n, height, width, channels) float32 -> its outputs, (n, k) float32."""
        from malaria.networks.ask import ask

        with self._lock:
            return ask(self.model, images)

    def write_tflite(self, digest: str) -> Path:
        """Convert it for LiteRT, into this user's cache. Raises UserError."""
        from malaria.networks.export import to_tflite

        return tflite.keep(to_tflite(self.model), digest)
