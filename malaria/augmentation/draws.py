"""draws: random numbers for the images of a batch, the same on whatever devices the batch lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from malaria.networks.backend import tf


@dataclass(frozen=True)
class Draws:
    """Random numbers, drawn for a whole batch and kept for the images that are here.

    seed: (2,), int32; it fixes every number. places: (n,), int32, which images of the batch are
    here; None: all. count: how many the batch has. So a batch that several devices share is changed
    as it would be on one; and a processor and a GPU draw alike (Philox: Salmon et al. 2011,
    "Parallel random numbers: as easy as 1, 2, 3").
    """

    seed: tf.Tensor
    places: tf.Tensor | None
    count: tf.Tensor | int

    @classmethod
    def of_whole_batch(cls, seed: Sequence[int] | tf.Tensor, count: tf.Tensor | int) -> Draws:
        """Draws where all images of the batch are here."""
        return cls(tf.convert_to_tensor(seed, tf.int32), None, count)

    def split(self, parts: int) -> list[Draws]:
        """So many others, independent of one another."""
        seeds = tf.random.experimental.stateless_split(self.seed, parts, alg="philox")
        return [replace(self, seed=seed) for seed in tf.unstack(seeds, num=parts)]

    def apart(self, number: int) -> Draws:
        """Others, independent of these and of what `split` gives; another number, others again."""
        return replace(
            self, seed=tf.random.experimental.stateless_fold_in(self.seed, number, alg="philox")
        )

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> tf.Tensor:
        """(n, *shape) numbers from low to high, float32."""
        return self._kept(self._uniform((self.count, *shape), low, high))

    def either_way(self, limits: tf.Tensor) -> tf.Tensor:
        """(n, number of limits): for each image and limit a number between -limit and limit."""
        return limits * self.uniform(limits.shape[0], low=-1.0)

    def normal(self, *shape: int) -> tf.Tensor:
        """(n, *shape) numbers of mean 0 and deviation 1, float32 (Box and Muller 1958)."""
        numbers = self.uniform(2, *shape)
        radius = tf.sqrt(-2 * tf.math.log(1 - numbers[:, 0]))
        return radius * tf.cos(2 * np.pi * numbers[:, 1])

    def one_for_all(self, low: float, high: float) -> tf.Tensor:
        """One number from low to high, the same for every image of the batch."""
        return self._uniform((), low, high)

    def some(self, share: float) -> tf.Tensor:
        """Which images are changed where `share` of them are, (n, 1, 1, 1), bool."""
        return self.uniform(1, 1, 1) < share

    def _kept(self, drawn: tf.Tensor) -> tf.Tensor:
        return drawn if self.places is None else tf.gather(drawn, self.places)

    def _uniform(self, shape: Sequence[int | tf.Tensor], low: float, high: float) -> tf.Tensor:
        # TensorFlow and XLA agree on the bits, but make other fractions of them.
        bits = tf.random.stateless_uniform(
            shape, self.seed, minval=None, maxval=None, dtype=tf.int32, alg="philox"
        )
        fraction = 0.5 + tf.cast(tf.bitwise.right_shift(bits, 8), tf.float32) / 2**24
        return low + (high - low) * fraction
