"""network: what classifying asks of a trained network, whichever engine runs it; and Keras as one.

TensorFlow comes with the first KerasNetwork that is made, so that LiteRT need not wait for it.
"""

import threading
from pathlib import Path
from typing import Protocol

import numpy as np

from malaria.saved import tflite
from malaria.saved.pair import Architecture, Pair

# Images at once. More is no faster with LiteRT on a CPU, and each image of a batch takes some MB.
BATCH_SIZE = 8


class Network(Protocol):
    """A trained network; several threads may call it at once.

    output_count: k, of its outputs for an image. feature_count: f, of what its guard looks at, or
    0. batch_size: the best number of images for one call.
    """

    output_count: int
    feature_count: int
    batch_size: int

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """(n, height, width, channels) float32 -> (n, k + f) float32."""


class KerasNetwork:
    """The network of a pair run by Keras, which knows GPUs and starts in seconds.

    features: with those that its guard looks at. missing: the digest of the pair, of which the
    cache has no .tflite yet and should have one.
    """

    def __init__(
        self, pair: Pair, architecture: Architecture, *, features: bool, missing: str | None
    ) -> None:
        from malaria.networks.ask import ask, images_at_once
        from malaria.networks.features import features_of, with_features
        from malaria.networks.load_model import load_model

        self.model = load_model(pair, architecture)
        self.output_count: int = self.model.output_shape[-1]
        self._both = with_features(self.model) if features else None
        self.feature_count = int(features_of(self.model).shape[-1]) if features else 0
        self.batch_size = images_at_once() or BATCH_SIZE
        self.missing = missing
        self._ask, self._lock = ask, threading.Lock()  # Keras builds it at the first call

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """See Network."""
        with self._lock:
            if self._both is None:
                return self._ask(self.model, images)
            both = self._ask(self._both, images)
        return np.concatenate([both[tflite.OUTPUT], both[tflite.FEATURES]], axis=1)

    def write_tflite(self, digest: str) -> Path:
        """Convert it for LiteRT, into this user's cache. Raises UserError."""
        from malaria.networks.export import to_tflite

        return tflite.keep(to_tflite(self.model, features=self._both is not None), digest)
