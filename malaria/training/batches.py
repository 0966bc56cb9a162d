"""batches: stages that a batch passes before the network: indices, pixels, floats."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from malaria.augmentation.augment import to_float
from malaria.data.pixel_store import Pixels
from malaria.evaluation.tta import turn
from malaria.networks.backend import tf
from malaria.training.order import count_batches

# Batches made ahead while the device computes.
PREFETCH = 2


class Batch(NamedTuple):
    """A batch, or the shard of one that a device takes.

    images: (n, height, width, 3), uint8 as stored, then float32, 0..1, for the network; (n,) int64,
    their indices, before the pixels are read. labels: as `encode_labels` says. size: int32, the
    images of the whole batch. seed: (2,), int32, of this shard's random changes. kinds: (n + m,),
    int32, 0 for a cell, where m images of none follow the n; else (0,).
    """

    images: tf.Tensor
    labels: tf.Tensor
    size: tf.Tensor
    seed: tf.Tensor
    kinds: tf.Tensor


@dataclass(frozen=True)
class Shards:
    """The shards of a batch that one machine's devices take: `count` of `total`, from `first`."""

    first: int = 0
    count: int = 1
    total: int = 1


WHOLE = Shards()


def index_batches(
    pixels: Pixels, order: np.ndarray, *, batch_size: int, seed: int = 0, shards: Shards = WHOLE
) -> tf.data.Dataset:
    """Batches of the indices of samples in this order, with their labels."""
    labels = np.array([sample.label for sample in pixels.samples])
    encoded = encode_labels(labels, label_count=len(np.unique(labels)))

    def make(number: tf.Tensor) -> Batch:
        batch, shard = number // shards.count, shards.first + number % shards.count
        start = batch * batch_size
        size = tf.minimum(len(order) - start, batch_size)
        begin, end = (start + one * size // shards.total for one in (shard, shard + 1))
        indices = tf.constant(order, tf.int64)[begin:end]
        seeds = tf.stack([seed, tf.cast(batch * shards.total + shard, tf.int32)])
        none = tf.zeros((0,), tf.int32)
        return Batch(indices, tf.gather(encoded, indices), tf.cast(size, tf.int32), seeds, none)

    options = tf.data.Options()
    # There is nothing here to tune, and at the end of an epoch its thread is waited for: it sleeps
    # for ever longer, half a minute at last.
    options.autotune.enabled = False
    count = count_batches(len(order), batch_size) * shards.count
    return tf.data.Dataset.range(count).map(make).with_options(options)


def read_pixels(batches: tf.data.Dataset, pixels: Pixels, *, view: int = 0) -> tf.data.Dataset:
    """The batches with stored pixels, uint8, in place of indices. view: as tta.turn takes it."""

    def read(indices: np.ndarray) -> np.ndarray:
        images = pixels.read(indices)
        return turn(images, view) if view else images

    def with_pixels(batch: Batch) -> Batch:
        images = tf.numpy_function(read, [batch.images], tf.uint8, stateful=False)
        return batch._replace(images=tf.ensure_shape(images, (None, *pixels.pixel_format.size, 3)))

    return batches.map(with_pixels)


def validation_batches(
    pixels: Pixels, indices: np.ndarray, batch_size: int, *, view: int = 0
) -> tf.data.Dataset:
    """Batches of these samples in this order, without random changes. view: as read_pixels."""
    made = index_batches(pixels, indices, batch_size=batch_size)
    return read_pixels(made, pixels, view=view).map(as_floats).prefetch(PREFETCH)


def gather(batch: Batch, on_device: tf.Tensor) -> Batch:
    """The batch with its pixels, uint8, from those of all images."""
    return batch._replace(images=tf.gather(on_device, batch.images))


def as_floats(batch: Batch) -> Batch:
    """The batch as the network takes it, without random changes."""
    return batch._replace(images=to_float(batch.images))


def encode_labels(labels: Sequence[int] | np.ndarray, *, label_count: int) -> np.ndarray:
    """Labels 0, 1, ... as the loss wants them: two -> (n, 1) float32 for the sigmoid, else (n,)."""
    labels = np.asarray(labels)
    return labels.astype(np.float32)[:, None] if label_count == 2 else labels.astype(np.int32)
