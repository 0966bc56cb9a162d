"""pipeline: samples -> batches on the devices: indices, pixels, random changes, network.

Each batch passes the same stages. Where the pixels of all images lie on a GPU, the last two run
there, in the training step; else the processor does them ahead of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from malaria.augmentation.augment import augment
from malaria.augmentation.random_changes import Amounts
from malaria.augmentation.resampling import resize
from malaria.base.machine import usable_cores
from malaria.data.pixel_store import Pixels
from malaria.networks.backend import tf
from malaria.training.batches import (
    PREFETCH,
    WHOLE,
    Batch,
    Shards,
    as_floats,
    gather,
    index_batches,
    read_pixels,
)
from malaria.training.distillation import LabelMixing
from malaria.training.order import count_batches, epoch_order, seed_of
from malaria.training.other_images import OtherImages, add_others

# Images that are brought to a device at once.
UPLOAD_CHUNK = 4096
# Images that a GPU validates at once, and more where batches are larger.
GPU_VALIDATION_BATCH = 256

# (height, width), or None for that of the stored images.
Size = tuple[int, int] | None
# What `upload` gives: pixels of all images, then, where there are others, their tensors.
OnDevice = tuple[tf.Tensor, ...] | None


@dataclass(frozen=True)
class Stream:
    """`count` batches on their way to the devices.

    smaller: how many of these, the last ones, have fewer images than the others. image_size: of an
    epoch with smaller images, else None.
    """

    batches: Iterator[Batch]
    count: int
    smaller: int
    image_size: Size = None


class Batches(Protocol):
    """What a Learner takes: batches to train on and to validate on, and their last stages.

    on_device: what is given to these; None where the batches come whole.
    """

    @property
    def strategy(self) -> tf.distribute.Strategy: ...
    @property
    def on_device(self) -> OnDevice: ...
    def train(self, epoch: int) -> Stream: ...
    def validate(self) -> Stream: ...
    def to_train(self, batch: Batch, on_device: OnDevice, size: Size) -> Batch: ...
    def to_validate(self, batch: Batch, on_device: OnDevice) -> Batch: ...


@dataclass(frozen=True)
class Pipeline:
    """The batches of a training and of its validation after each epoch.

    training, validation: indices into pixels.samples; those that one pass shows, and in order.
    steps: of an epoch; None for one whole pass, else that many full batches, going on where the
    epoch before ended. negative: the label, of two, whose cells `overlap` may lay on others.
    others: images of no cell that each batch shows too.
    image_size: of an epoch, counted from 0. on_device: what `upload` gives; None where the
    processor makes the batches. The same seed and epoch give the same batches, whatever ran before:
    a resumed run continues exactly.
    """

    strategy: tf.distribute.Strategy
    pixels: Pixels
    training: np.ndarray
    validation: np.ndarray
    batch_size: int
    steps: int | None
    seed: int
    augmentation: Amounts
    negative: int | None = None
    mix_labels: LabelMixing | None = None
    image_size: Callable[[int], Size] = lambda epoch: None
    others: OtherImages | None = None
    on_device: OnDevice = None

    def train(self, epoch: int) -> Stream:
        """The batches of an epoch, counted from 0."""
        size = self.image_size(epoch)
        return Stream(
            distribute(self.strategy, lambda shards: self.epoch_batches(epoch, shards)),
            self.steps or count_batches(len(self.training), self.batch_size),
            0 if self.steps else int(len(self.training) % self.batch_size > 0),
            size,
        )

    def epoch_batches(self, epoch: int, shards: Shards = WHOLE) -> tf.data.Dataset:
        """The batches of an epoch as the processor makes them, of each its shards in turn."""
        order = epoch_order(
            self.training,
            batch_size=self.batch_size,
            steps=self.steps,
            epoch=epoch,
            seed=self.seed,
        )
        made = self._index_batches(order, self.batch_size, seed_of(self.seed, epoch), shards)
        if self.on_device is None:
            size, others = self.image_size(epoch), self.others.tensors if self.others else None
            made = read_pixels(made, self.pixels).map(
                lambda batch: self.change(batch, size, others),
                num_parallel_calls=usable_cores(),
                deterministic=True,
            )
        return made.prefetch(PREFETCH)

    def validate(self) -> Stream:
        size = self.validation_batch

        def make(shards: Shards) -> tf.data.Dataset:
            made = self._index_batches(self.validation, size, 0, shards)
            if self.on_device is None:
                made = read_pixels(made, self.pixels).map(as_floats)
            return made.prefetch(PREFETCH)

        return Stream(distribute(self.strategy, make), count_batches(len(self.validation), size), 0)

    def shortened(self, steps: int) -> Pipeline:
        """The same with so many batches on either side; of few images the same ones again."""
        shown = np.resize(self.validation, steps * self.validation_batch)
        return replace(self, steps=steps, validation=shown)

    @property
    def validation_batch(self) -> int:
        """The number of images of a batch to validate on."""
        on_processor = self.on_device is None
        return self.batch_size if on_processor else max(self.batch_size, GPU_VALIDATION_BATCH)

    def change(self, batch: Batch, size: Size, others: tuple[tf.Tensor, tf.Tensor] | None) -> Batch:
        """The batch to learn from: images of `size`, changed at random, and their mixed labels.

        others: `tensors` of OtherImages, of which some follow the images of the batch, or None.
        """
        batch, count = add_others(batch, others), tf.shape(batch.labels)[0]
        images = batch.images if size is None else resize(batch.images, size)
        can_be_laid = self._can_be_laid(batch, tf.shape(images)[0] - count)
        images = augment(images, self.augmentation, seed=batch.seed, can_be_laid=can_be_laid)
        if self.mix_labels is not None:
            batch = batch._replace(labels=self.mix_labels(images[:count], batch.labels))
        return batch._replace(images=images)

    def _can_be_laid(self, batch: Batch, others: tf.Tensor) -> tf.Tensor | None:
        """Which images `overlap` may lay on others: none of the last `others`."""
        if self.negative is None:
            return None
        return tf.pad(batch.labels[:, 0] == self.negative, [[0, others]])

    def to_train(self, batch: Batch, on_device: OnDevice, size: Size) -> Batch:
        """In the training step: the stages that are left before the network."""
        if on_device is None:
            return batch
        pixels, *others = on_device
        return self.change(gather(batch, pixels), size, tuple(others) or None)

    def to_validate(self, batch: Batch, on_device: OnDevice) -> Batch:
        """As `to_train`, in the validation step."""
        return batch if on_device is None else as_floats(gather(batch, on_device[0]))

    def _index_batches(
        self, order: np.ndarray, batch_size: int, seed: int, shards: Shards
    ) -> tf.data.Dataset:
        return index_batches(self.pixels, order, batch_size=batch_size, seed=seed, shards=shards)


def distribute(
    strategy: tf.distribute.Strategy, make: Callable[[Shards], tf.data.Dataset]
) -> Iterator[Batch]:
    """Batches for all devices; make: the dataset of the shards that one machine takes."""

    def of_machine(context: tf.distribute.InputContext) -> tf.data.Dataset:
        total = context.num_replicas_in_sync
        own = total // context.num_input_pipelines
        return make(Shards(context.input_pipeline_id * own, own, total))

    return iter(strategy.distribute_datasets_from_function(of_machine))


def choose_validation(indices: np.ndarray, steps: int | None, batch_size: int) -> np.ndarray:
    """All of the indices, or those of `steps` batches of a fixed random choice."""
    if steps is None:
        return indices
    return np.random.RandomState(0).permutation(indices)[: steps * batch_size]


def upload(
    pixels: Pixels, strategy: tf.distribute.Strategy, others: OtherImages | None = None
) -> tuple[tf.Tensor, ...]:
    """All images, (samples, height, width, 3), uint8, on each device; then others' tensors."""

    def make(context: object) -> tf.Tensor:
        indices = np.arange(len(pixels.samples))
        starts = range(0, len(indices), UPLOAD_CHUNK)
        chunks = [pixels.read(indices[start : start + UPLOAD_CHUNK]) for start in starts]
        return tf.concat(chunks, axis=0)

    makers = [make, *[lambda context, one=one: one for one in (others.tensors if others else ())]]
    return tuple(map(strategy.experimental_distribute_values_from_function, makers))
