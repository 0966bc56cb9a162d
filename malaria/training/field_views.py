"""field_views: batches of parts of fields, real ones and composed, for a detector."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from malaria.base.machine import usable_cores
from malaria.fields.detect import DIAMETER
from malaria.networks.backend import tf
from malaria.training.annotated_fields import KINDS, AnnotatedFields
from malaria.training.batches import PREFETCH, Batch, Shards
from malaria.training.composed_fields import Bank, View, compose, look
from malaria.training.detection_targets import targets_of
from malaria.training.order import count_batches
from malaria.training.pipeline import OnDevice, Size, Stream, distribute

# Red cells are shown up to e to the power of this larger and smaller than DIAMETER.
SPREAD = 0.6
# Views of each validation field.
VIEWS = 2


@dataclass(frozen=True)
class FieldPipeline:
    """The batches of a detector's training and validation; as training.pipeline.Pipeline.

    side: of a view, pixels. composed: the share, 0..1, of views that are composed of `bank`. Each
    view depends on the seed, the epoch and its number alone: a resumed run continues exactly.
    """

    strategy: tf.distribute.Strategy
    fields: AnnotatedFields
    bank: Bank | None
    side: int
    batch_size: int
    steps: int
    seed: int
    composed: float
    validation_steps: int | None = None
    on_device: OnDevice = None

    def train(self, epoch: int) -> Stream:
        """The batches of an epoch, counted from 0."""
        draw = partial(self._training_view, epoch)
        return Stream(self._batches(draw, self.steps * self.batch_size), self.steps, 0)

    def validate(self) -> Stream:
        """The same real views each time."""
        count = VIEWS * len(self.fields.validation)
        if self.validation_steps is not None:
            count = min(count, self.validation_steps * self.batch_size)
        return Stream(
            self._batches(self._validation_view, count), count_batches(count, self.batch_size), 0
        )

    def shortened(self, steps: int) -> "FieldPipeline":
        """The same with so many batches on either side; of few fields the same ones again."""
        shown = np.resize(self.fields.validation, steps * self.batch_size)
        fields = replace(self.fields, validation=shown)
        return replace(self, fields=fields, steps=steps, validation_steps=steps)

    def to_train(self, batch: Batch, on_device: OnDevice, size: Size) -> Batch:
        """As it is."""
        return batch

    def to_validate(self, batch: Batch, on_device: OnDevice) -> Batch:
        """As it is."""
        return batch

    def _training_view(self, epoch: int, number: int) -> View:
        rng = np.random.default_rng([self.seed, epoch, number])
        diameter = DIAMETER * np.exp(rng.uniform(-SPREAD, SPREAD))
        if self.bank is not None and rng.random() < self.composed:
            return compose(self.bank, rng, self.side, diameter)
        return self._real_view(rng, self.fields.training, diameter, is_changed=True)

    def _validation_view(self, number: int) -> View:
        rng = np.random.default_rng([self.seed, number])
        place = self.fields.validation[number % len(self.fields.validation)]
        return self._real_view(rng, [place], DIAMETER, is_changed=False)

    def _real_view(
        self,
        rng: np.random.Generator,
        places: Sequence[int] | np.ndarray,
        diameter: float,
        *,
        is_changed: bool,
    ) -> View:
        """Of one of these fields; each laboratory is as likely."""
        sources = sorted({self.fields.fields[place].source for place in places})
        source = sources[rng.integers(len(sources))]
        chosen = [place for place in places if self.fields.fields[place].source == source]
        field = self.fields.fields[chosen[rng.integers(len(chosen))]]
        return look(field, rng, self.side, diameter, is_changed=is_changed)

    def _batches(self, draw: Callable[[int], View], count: int) -> Iterator[Batch]:
        return distribute(self.strategy, lambda shards: self._dataset(draw, count, shards))

    def _dataset(self, draw: Callable[[int], View], count: int, shards: Shards) -> tf.data.Dataset:
        def make(number: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            batch, shard = divmod(int(number), shards.count)
            start, shard = batch * self.batch_size, shard + shards.first
            size = min(count - start, self.batch_size)
            begin, end = (start + one * size // shards.total for one in (shard, shard + 1))
            views = [draw(place) for place in range(begin, end)]
            targets = [targets_of(view, len(KINDS)) for view in views]
            return np.stack([view.image for view in views]), np.stack(targets), np.int32(size)

        def as_batch(number: tf.Tensor) -> Batch:
            types = [tf.uint8, tf.float32, tf.int32]
            images, targets, size = tf.numpy_function(make, [number], types, stateful=False)
            images = tf.ensure_shape(images, (None, self.side, self.side, 3))
            half = self.side // 2
            targets = tf.ensure_shape(targets, (None, half, half, len(KINDS) + 4))
            images, none = tf.cast(images, tf.float32) / 255, tf.zeros((0,), tf.int32)
            return Batch(images, targets, tf.ensure_shape(size, ()), tf.zeros(2, tf.int32), none)

        batches = tf.data.Dataset.range(count_batches(count, self.batch_size) * shards.count)
        made = batches.map(as_batch, num_parallel_calls=usable_cores(), deterministic=True)
        return made.prefetch(PREFETCH)
