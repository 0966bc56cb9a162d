"""batches: samples -> batches of tensors."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from malaria.data.pixel_store import Pixels
from malaria.inference.tta import turn
from malaria.networks.backend import tf
from malaria.training.augmentation import augment, to_float
from malaria.training.random_changes import Amounts

# Batches made ahead while the device computes.
PREFETCH = 2


def training_batches(
    pixels: Pixels,
    indices: np.ndarray,
    *,
    batch_size: int,
    steps: int | None,
    epoch: int,
    seed: int,
    augmentation: Amounts,
    size: tuple[int, int] | None = None,
    teach: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
) -> tf.data.Dataset:
    """The batches of one epoch (counted from 0) as a tf.data.Dataset of (images, labels).

    images: (n, height, width, 3), float32, 0..1, augmented; labels: as `encode_labels` says. The
    same seed and epoch give the same batches, whatever ran before: a resumed run continues exactly.
    steps: None for one whole pass, else that many full batches, going on through the samples
    where the epoch before ended. size: (height, width) of the batches' images, if not as stored.
    teach: a function of images and labels to the labels that are learnt, see distillation.
    """
    order = epoch_order(indices, batch_size=batch_size, steps=steps, epoch=epoch, seed=seed)

    def prepare(
        images: tf.Tensor, labels: tf.Tensor, number: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        if size is not None:
            images = tf.image.resize(images, size, antialias=True)
        images = augment(images, augmentation, seed=tf.stack([seed_of(seed, epoch), number]))
        return images, labels if teach is None else teach(images, labels)

    return _raw_batches(pixels, order, batch_size).map(prepare).prefetch(PREFETCH)


def validation_batches(
    pixels: Pixels,
    indices: np.ndarray,
    *,
    batch_size: int,
    steps: int | None = None,
    view: int = 0,
) -> tf.data.Dataset:
    """Batches of (images, labels) as in training, but un-augmented and always in the same order.

    steps: None for all of `indices`, else so many batches of a fixed random choice of them. view:
    as tta.turn takes it.
    """
    if steps is not None:
        indices = np.random.RandomState(0).permutation(indices)[: steps * batch_size]

    def prepare(images: tf.Tensor, labels: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return to_float(images), labels

    return _raw_batches(pixels, indices, batch_size, view).map(prepare).prefetch(PREFETCH)


def _raw_batches(
    pixels: Pixels, order: np.ndarray, batch_size: int, view: int = 0
) -> tf.data.Dataset:
    """Batches (uint8 images, labels, number of the batch) of the samples in this order."""
    labels = np.array([sample.label for sample in pixels.samples])
    encoded = encode_labels(labels, label_count=len(np.unique(labels)))
    height, width = pixels.pixel_format.size

    def batches() -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
        for number, start in enumerate(range(0, len(order), batch_size)):
            batch = order[start : start + batch_size]
            images = pixels.read(batch)
            yield turn(images, view) if view else images, encoded[batch], number

    signature = (
        tf.TensorSpec((None, height, width, 3), tf.uint8),
        tf.TensorSpec((None, *encoded.shape[1:]), encoded.dtype),
        tf.TensorSpec((), tf.int32),
    )
    dataset = tf.data.Dataset.from_generator(batches, output_signature=signature)
    length = -(-len(order) // batch_size)
    return dataset.apply(tf.data.experimental.assert_cardinality(length)).with_options(_options())


def _options() -> tf.data.Options:
    options = tf.data.Options()
    # There is nothing here to tune, and at the end of an epoch its thread is waited for: it sleeps
    # for ever longer, half a minute at last.
    options.autotune.enabled = False
    # Each element is a whole batch already: MirroredStrategy divides it, files need no sharding.
    policy = tf.data.experimental.AutoShardPolicy.OFF
    options.experimental_distribute.auto_shard_policy = policy
    return options


def encode_labels(labels: Sequence[int] | np.ndarray, *, label_count: int) -> np.ndarray:
    """Labels 0, 1, ... as the loss wants them: two -> (n, 1) float32 for the sigmoid, else (n,)."""
    labels = np.asarray(labels)
    return labels.astype(np.float32)[:, None] if label_count == 2 else labels.astype(np.int32)


def balance_within(indices: np.ndarray, labels: np.ndarray, sources: Sequence[str]) -> np.ndarray:
    """The indices, in each source those of rarer labels repeated until each label has as many.

    labels, sources: of each index. A source of one label stays as it is. So no label is known by
    the look of a laboratory that has both; those of one label still weigh in `balance`, after this.
    """
    names, parts = np.asarray(sources), []
    for source in dict.fromkeys(sources):
        inside = names == source
        parts.append(balance(indices[inside], labels[inside], [""] * int(inside.sum())))
    return np.sort(np.concatenate(parts))


def balance(indices: np.ndarray, labels: np.ndarray, sources: Sequence[str]) -> np.ndarray:
    """The indices, those of rarer labels, and of a label's rarer sources, repeated.

    labels, sources: of each index. In the end each label has as many, and within a label each of
    its sources, but for a rest of less than one each; none has fewer than before. Each repetition
    is augmented anew. Drawing the rare label more often taught more than counting it more in the
    loss, where a batch holds few of its images.
    """
    groups: dict[int, dict[str, list[int]]] = {}
    for index, label, source in zip(indices.tolist(), labels.tolist(), sources, strict=True):
        groups.setdefault(label, {}).setdefault(source, []).append(index)
    most = max(len(one) * max(map(len, one.values())) for one in groups.values())
    repeated = [
        np.resize(members, most // len(one) + (place < most % len(one)))
        for one in groups.values()
        for place, members in enumerate(one.values())
    ]
    return np.sort(np.concatenate(repeated))


def epoch_order(
    indices: np.ndarray, *, batch_size: int, steps: int | None, epoch: int, seed: int
) -> np.ndarray:
    """The samples of one epoch in the order they are shown.

    Passes follow one another without end, each shuffled anew; with `steps` an epoch is a stretch
    of them and may begin in the middle of a pass.
    """
    count = len(indices)
    size = count if steps is None else steps * batch_size
    positions = np.arange(epoch * size, (epoch + 1) * size)
    passes = range(positions[0] // count, positions[-1] // count + 1)
    shuffled = {number: _shuffle(indices, seed, number) for number in passes}
    return np.concatenate(
        [
            order[positions[positions // count == number] % count]
            for number, order in shuffled.items()
        ]
    )


def _shuffle(indices: np.ndarray, seed: int, number: int) -> np.ndarray:
    return np.random.RandomState([seed, number]).permutation(indices)


def seed_of(seed: int, epoch: int) -> int:
    """One 31-bit number of (seed, epoch), so that no two epochs are augmented alike."""
    return int(np.random.RandomState([seed, epoch]).randint(2**31))
