"""network: what classifying asks of a trained network, whichever engine runs it."""

from typing import Protocol

import numpy as np

# Images at once. More is no faster with LiteRT on a CPU, and each image of a batch takes some MB.
BATCH_SIZE = 8


class Network(Protocol):
    """A trained network; several threads may call it at once.

    output_count: k of its outputs (n, k). batch_size: how many images it is best asked about at
    once.
    """

    output_count: int
    batch_size: int

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """(n, height, width, channels) float32 -> (n, k) float32."""
