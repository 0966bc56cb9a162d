"""draws: random numbers for the images of a batch, fixed by a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from malaria.networks.backend import tf


@dataclass(frozen=True)
class Draws:
    """Random numbers for each of `count` images, fixed by the seed, (2,), int32.

    A processor and a GPU draw alike (Philox: Salmon et al. 2011, "Parallel random numbers: as easy
    as 1, 2, 3").
    """

    seed: tf.Tensor
    count: tf.Tensor | int

    def split(self, parts: int) -> list[Draws]:
        """`parts` others, independent of one another."""
        seeds = tf.random.experimental.stateless_split(self.seed, parts, alg="philox")
        return [replace(self, seed=seed) for seed in tf.unstack(seeds, num=parts)]

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> tf.Tensor:
        """(n, *shape) numbers from low to high, float32."""
        return self._uniform((self.count, *shape), low, high)

    def symmetric_uniform(self, limits: tf.Tensor | Sequence[float]) -> tf.Tensor:
        """(n, number of limits): for each image and limit a number between -limit and limit."""
        limits = tf.convert_to_tensor(limits, tf.float32)
        return limits * self.uniform(limits.shape[0], low=-1.0)

    def normal(self, *shape: int) -> tf.Tensor:
        """(n, *shape) numbers of mean 0 and deviation 1, float32 (Box and Muller 1958)."""
        numbers = self.uniform(2, *shape)
        radius = tf.sqrt(-2 * tf.math.log(1 - numbers[:, 0]))
        return radius * tf.cos(2 * np.pi * numbers[:, 1])

    def bernoulli(self, probability: float) -> tf.Tensor:
        """True for each image with this probability, (n, 1, 1, 1), bool."""
        return self.uniform(1, 1, 1) < probability

    def batch_uniform(self, low: float, high: float) -> tf.Tensor:
        """One number from low to high for the whole batch."""
        return self._uniform((), low, high)

    def _uniform(self, shape: Sequence[int | tf.Tensor], low: float, high: float) -> tf.Tensor:
        # TensorFlow and XLA agree on the bits, but make other fractions of them.
        bits = tf.random.stateless_uniform(
            shape, self.seed, minval=None, maxval=None, dtype=tf.int32, alg="philox"
        )
        fraction = 0.5 + tf.cast(tf.bitwise.right_shift(bits, 8), tf.float32) / 2**24
        return low + (high - low) * fraction
