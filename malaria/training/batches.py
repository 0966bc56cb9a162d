"""batches: samples -> batches of tensors, whole ones or the parts that several devices take."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from malaria.augmentation.augment import augment_part, to_float
from malaria.augmentation.draws import Draws
from malaria.augmentation.random_changes import REACH, Amounts
from malaria.augmentation.resampling import resize
from malaria.base.machine import usable_cores
from malaria.data.pixel_store import Pixels
from malaria.evaluation.tta import turn
from malaria.networks.backend import tf
from malaria.training.distillation import Teach
from malaria.training.order import count_batches, epoch_order, seed_of

# Batches made ahead while the device computes.
PREFETCH = 2


class Part(NamedTuple):
    """What a device takes of each batch: of `total` stretches the `number`th, counted from 0."""

    number: int = 0
    total: int = 1

    def bounds(self, size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Where it begins and ends in a batch of that size."""
        return self.number * size // self.total, (self.number + 1) * size // self.total


WHOLE = (Part(),)


class Batch(NamedTuple):
    """A batch, or a part of one.

    images: (n, height, width, 3), float32, 0..1. labels: as `encode_labels` says. places: (n,),
    int32, which of the whole batch's images they are. size: int32, how many that has. seed: (2,),
    int32, of the batch.
    """

    images: tf.Tensor
    labels: tf.Tensor
    places: tf.Tensor
    size: tf.Tensor
    seed: tf.Tensor


@dataclass(frozen=True)
class TrainingBatches:
    """The batches of a training.

    indices: of the samples that one pass shows. steps: of an epoch; None for one whole pass, else
    that many full batches, going on through the samples where the epoch before ended. augmentation:
    the amounts of every setting. teach: a function of images and labels to the labels that are
    learnt, see distillation. The same seed and epoch give the same batches, whatever ran before and
    on however many devices: a resumed run continues exactly.
    """

    pixels: Pixels
    indices: np.ndarray
    batch_size: int
    steps: int | None
    seed: int
    augmentation: Amounts
    teach: Teach | None = None

    @property
    def count(self) -> int:
        """How many batches an epoch has."""
        return self.steps or count_batches(len(self.indices), self.batch_size)

    @property
    def smaller(self) -> int:
        """How many of them, the last ones, have fewer images than the others."""
        return 0 if self.steps else int(len(self.indices) % self.batch_size > 0)

    def epoch(
        self,
        epoch: int,
        *,
        size: tuple[int, int] | None = None,
        parts: Sequence[Part] = WHOLE,
    ) -> tf.data.Dataset:
        """The batches of one epoch, from 0, ready for the network; of each its parts in turn.

        size: (height, width) of the images, if not as stored.
        """
        reach = reach_of(parts)
        made = self.stored(epoch, parts=parts).map(
            lambda batch: self.prepare(batch, size=size, reach=reach),
            num_parallel_calls=usable_cores(),
            deterministic=True,
        )
        return made.prefetch(PREFETCH)

    def stored(
        self, epoch: int, *, parts: Sequence[Part], on_device: bool = False
    ) -> tf.data.Dataset:
        """The same before `prepare`; on_device: as stored_batches takes it."""
        order = epoch_order(
            self.indices,
            batch_size=self.batch_size,
            steps=self.steps,
            epoch=epoch,
            seed=self.seed,
        )
        batches = self.pixels, order, self.batch_size, seed_of(self.seed, epoch)
        return stored_batches(*batches, parts=parts, reach=reach_of(parts), on_device=on_device)

    def prepare(self, batch: Batch, *, size: tuple[int, int] | None, reach: int) -> Batch:
        """A stored batch, of `reach` more images than labels, changed at random."""
        # Where all images are here, so are all random numbers.
        images, places = batch.images, batch.places if reach else None
        draws = Draws(batch.seed, places, batch.size)
        if size is not None:
            images = resize(images, size)
        images = augment_part(images, self.augmentation, draws)[reach:]
        labels = batch.labels if self.teach is None else self.teach(images, batch.labels)
        return batch._replace(images=images, labels=labels, places=batch.places[reach:])


def validation_batches(
    pixels: Pixels, indices: np.ndarray, *, batch_size: int, view: int = 0
) -> tf.data.Dataset:
    """Batches of these samples in this order, un-augmented. view: as tta.turn takes it."""
    stored = stored_batches(pixels, indices, batch_size, 0, parts=WHOLE, view=view)
    made = stored.map(as_floats)
    return made.prefetch(PREFETCH)


def as_floats(batch: Batch) -> Batch:
    """A stored batch as the network takes it, un-augmented."""
    return batch._replace(images=to_float(batch.images))


def stored_batches(
    pixels: Pixels,
    order: np.ndarray,
    batch_size: int,
    seed: int,
    *,
    parts: Sequence[Part],
    reach: int = 0,
    view: int = 0,
    on_device: bool = False,
) -> tf.data.Dataset:
    """Batches of uint8 images of the samples in this order, of each batch its parts in turn.

    on_device: the images lie on the device already: (n,) int64, which they are, in their place.
    """
    encoded = encode_labels(
        labels := np.array([sample.label for sample in pixels.samples]),
        label_count=len(np.unique(labels)),
    )

    def read(samples: np.ndarray) -> np.ndarray:
        images = pixels.read(samples)
        return turn(images, view) if view else images

    def plan(number: tf.Tensor) -> Batch:
        batch, part = number // len(parts), tf.constant(parts, tf.int64)[number % len(parts)]
        start = batch * batch_size
        size = tf.minimum(len(order) - start, batch_size)
        places, own = places_of(Part(*tf.unstack(part)), size, reach)
        samples = tf.gather(order, start + places)
        counts = tf.cast(places, tf.int32), tf.cast(size, tf.int32)
        seeds = tf.stack([seed, tf.cast(batch, tf.int32)])
        return Batch(samples, tf.gather(encoded, tf.gather(order, start + own)), *counts, seeds)

    def with_pixels(batch: Batch) -> Batch:
        images = tf.numpy_function(read, [batch.images], tf.uint8, stateful=False)
        return batch._replace(images=tf.ensure_shape(images, (None, *pixels.pixel_format.size, 3)))

    planned = tf.data.Dataset.range(count_batches(len(order), batch_size) * len(parts)).map(plan)
    return (planned if on_device else planned.map(with_pixels)).with_options(_options())


def reach_of(parts: Sequence[Part]) -> int:
    """How many images before its own a part needs for the augmentation."""
    return REACH if parts[0].total > 1 else 0


def places_of(part: Part, size: tf.Tensor, reach: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Of a batch of that size (the part's places and `reach` before them, its own), int64."""
    start, end = part.bounds(size)
    places = tf.range(start - reach, end) % size
    return places, places[reach:]


def _options() -> tf.data.Options:
    """How the batches are made."""
    chosen = tf.data.Options()
    # There is nothing here to tune, and at the end of an epoch its thread is waited for: it sleeps
    # for ever longer, half a minute at last.
    chosen.autotune.enabled = False
    return chosen


def encode_labels(labels: Sequence[int] | np.ndarray, *, label_count: int) -> np.ndarray:
    """Labels 0, 1, ... as the loss wants them: two -> (n, 1) float32 for the sigmoid, else (n,)."""
    labels = np.asarray(labels)
    return labels.astype(np.float32)[:, None] if label_count == 2 else labels.astype(np.int32)
