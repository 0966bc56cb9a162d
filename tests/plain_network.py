"""A plain function as a network, for tests that need no trained one."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PlainNetwork:
    """What malaria.inference.network asks of a network."""

    function: Callable[[np.ndarray], np.ndarray]
    output_count: int = 1
    batch_size: int = 8
    feature_count: int = 0

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return self.function(images)
