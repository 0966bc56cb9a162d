"""feed: the batches of a training, brought to every device of a strategy."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from malaria.data.pixel_store import Pixels
from malaria.networks.backend import tf
from malaria.training.batches import (
    PREFETCH,
    Batch,
    Part,
    TrainingBatches,
    as_floats,
    reach_of,
    stored_batches,
)
from malaria.training.order import count_batches

Size = tuple[int, int] | None
# What a device does to a batch before the network sees it; given the pictures it holds, or None.
Prepare = Callable[[Batch, tf.Tensor | None], Batch]
# Pictures that are brought to a device at once.
CHUNK = 4096
# Pictures that a GPU validates at once, and more where batches are larger.
AT_ONCE = 256


@dataclass(frozen=True)
class Stream:
    """`count` batches on their way to the devices, of each batch to each device its part.

    smaller: how many of these, the last ones, have fewer images than the others. prepare, stored:
    what the device does to a batch first, and with which pictures.
    """

    batches: Iterator[Batch]
    count: int
    smaller: int
    prepare: Prepare
    stored: tf.Tensor | None = None


@dataclass(frozen=True)
class Feed:
    """The streams of a training.

    validation: the samples to validate on, in order. sizes: the size of the images of an epoch,
    counted from 0, or None for the stored one. stored: what `upload` gives; None where the
    processor makes the batches.
    """

    strategy: tf.distribute.Strategy
    batches: TrainingBatches
    validation: np.ndarray
    sizes: Callable[[int], Size] = lambda epoch: None
    stored: tf.Tensor | None = None
    _prepares: dict[Size, Prepare] = field(default_factory=dict, init=False)

    def train(self, epoch: int) -> Stream:
        """The batches of an epoch, counted from 0."""
        size, counts = self.sizes(epoch), (self.batches.count, self.batches.smaller)
        if self.stored is None:
            made = self._spread(lambda parts: self.batches.epoch(epoch, size=size, parts=parts))
            return Stream(made, *counts, as_it_is)
        made = self._spread(
            lambda parts: self.batches.stored(epoch, parts=parts, on_device=True).prefetch(PREFETCH)
        )
        return Stream(made, *counts, self._prepare(size), self.stored)

    @property
    def validation_size(self) -> int:
        """How many images a batch to validate on has."""
        size = self.batches.batch_size
        return size if self.stored is None else max(size, AT_ONCE)

    @property
    def validation_count(self) -> int:
        """How many of these batches there are."""
        return count_batches(len(self.validation), self.validation_size)

    def validate(self) -> Stream:
        """The batches to validate on."""
        known = self.batches.pixels, self.validation, self.validation_size, 0
        on_device = self.stored is not None
        made = self._spread(
            lambda parts: stored_batches(*known, parts=parts, on_device=on_device).prefetch(
                PREFETCH
            )
        )
        return Stream(made, self.validation_count, 0, unchanged, self.stored)

    def _spread(self, make: Callable[[Sequence[Part]], tf.data.Dataset]) -> Iterator[Batch]:
        """Batches for all devices; make: of the parts that one machine's devices take."""

        def of_machine(context: tf.distribute.InputContext) -> tf.data.Dataset:
            count = context.num_replicas_in_sync
            own = count // context.num_input_pipelines
            first = context.input_pipeline_id * own
            return make([Part(first + number, count) for number in range(own)])

        return iter(self.strategy.distribute_datasets_from_function(of_machine))

    def _prepare(self, size: Size) -> Prepare:
        """What makes augmented images of that size on the device; one and the same function."""
        reach = reach_of([Part(0, self.strategy.num_replicas_in_sync)])

        def prepare(batch: Batch, stored: tf.Tensor | None) -> Batch:
            return self.batches.prepare(_gathered(batch, stored), size=size, reach=reach)

        return self._prepares.setdefault(size, prepare)


def as_it_is(batch: Batch, stored: tf.Tensor | None) -> Batch:
    """A batch that the processor has made."""
    return batch


def unchanged(batch: Batch, stored: tf.Tensor | None) -> Batch:
    """A stored batch as the network takes it, un-augmented."""
    return as_floats(_gathered(batch, stored))


def _gathered(batch: Batch, stored: tf.Tensor | None) -> Batch:
    if stored is None:
        return batch
    return batch._replace(images=tf.gather(stored, batch.images))


def choose_validation(indices: np.ndarray, steps: int | None, batch_size: int) -> np.ndarray:
    """steps: None for all of the samples, else so many batches of a fixed random choice of them."""
    if steps is None:
        return indices
    return np.random.RandomState(0).permutation(indices)[: steps * batch_size]


def upload(pixels: Pixels, strategy: tf.distribute.Strategy) -> tf.Tensor:
    """All pictures, (samples, height, width, 3), uint8, on each device of the strategy."""

    def make(context: object) -> tf.Tensor:
        starts = range(0, len(pixels.samples), CHUNK)
        indices = np.arange(len(pixels.samples))
        return tf.concat([pixels.read(indices[start : start + CHUNK]) for start in starts], axis=0)

    return strategy.experimental_distribute_values_from_function(make)
