"""guard_head: a second output, of the training only, that tells images that are no single cell.

In each step the network also sees images that show no cell, changed at random as all are, and the
layer that is to tell them learns with it. So its features, by which it decides, tell them too. The
layer becomes the model's Guard (inference/guard.py); the network is saved without it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from malaria.augmentation.augment import augment
from malaria.augmentation.random_changes import Amounts
from malaria.data.labelled_images import LabelledImages
from malaria.inference.guard import CELL, NONE, OTHER, SEVERAL, Guard
from malaria.networks.ask import ask
from malaria.networks.backend import keras, tf
from malaria.networks.features import features_of, with_features
from malaria.saved.tflite import FEATURES

NAME = "kind"
# How much the second output weighs in the loss, beside 1 for the label.
WEIGHT = 0.5
# Label smoothing, lest probabilities of strange images lie at 0 and 1.
SMOOTHING = 0.02
# Of the validation cells of each source, changed at random as in training, this share may be called
# no cells: so changed they stand for those of another laboratory. But never one that is likelier a
# cell than this: to hide a cell is worse than to show what is none.
SHARE, SURE = 0.001, 0.05
# Of each source at most so many are looked at.
MOST = 2000
BATCH = 64


def kinds_of(folders: Sequence[str] | None) -> tuple[str, ...]:
    """What an image may be: CELL, and kinds of no cell. folders: of images of others, or None."""
    return (CELL, SEVERAL, NONE, *([OTHER] if folders else []))


def with_kinds(model: keras.Model, count: int) -> keras.Model:
    """The network with a second output, (n, count): the logits of the kinds."""
    kinds = keras.layers.Dense(count, dtype="float32", name=NAME)(features_of(model))
    return keras.Model(model.inputs[0], [model.outputs[0], kinds])


def kind_losses(kinds: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """The cross-entropy of each image, (n,), of its kind, (n,), by the second output."""
    count = logits.shape[1]
    targets = tf.one_hot(kinds, count) * (1 - SMOOTHING) + SMOOTHING / count
    return tf.nn.softmax_cross_entropy_with_logits(labels=targets, logits=logits)


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Give one network the weights of another of the same layers, whatever second output it has."""
    for one, other in zip(_layers(source), _layers(target), strict=True):
        other.set_weights(one.get_weights())


def set_kinds(model: keras.Model, entries: Any) -> None:
    """Give the second output, if there is one, the weights of the Guard in a model's metadata."""
    if NAME in (layer.name for layer in model.layers) and entries is not None:
        weights = Guard.from_entries(entries, "the finished run").weights
        model.get_layer(NAME).set_weights([weights[:-1], weights[-1]])


def _layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    return (layer for layer in model.layers if layer.weights and layer.name != NAME)


def read_guard(
    trained: keras.Model,
    plain: keras.Model,
    images: LabelledImages,
    kinds: tuple[str, ...],
    amounts: Amounts,
) -> Guard:
    """The Guard of a trained network, with its threshold by the validation images.

    trained: with the second output, of these kinds; plain: the same network without it. amounts: of
    the random changes of the training.
    """
    kernel, bias = trained.get_layer(NAME).get_weights()
    guard = Guard(kinds, np.vstack([kernel, bias]), SURE)
    sources = np.array([one.source for one in images.chosen(images.validation)])
    sure = [
        _probabilities(guard, plain, images, images.validation[sources == source], amounts)
        for source in dict.fromkeys(sources.tolist())
    ]
    lowest = min(float(np.quantile(of_source, SHARE)) for of_source in sure)
    return replace(guard, threshold=min(SURE, lowest))


def _probabilities(
    guard: Guard, plain: keras.Model, images: LabelledImages, indices: np.ndarray, amounts: Amounts
) -> np.ndarray:
    """Of a cell, of these images, changed at random."""
    chosen, looked_at = np.random.RandomState(0).permutation(indices)[:MOST], with_features(plain)
    parts = []
    for start in range(0, len(chosen), BATCH):
        pixels = images.pixels.read(chosen[start : start + BATCH])
        changed = augment(pixels, amounts, seed=(0, start))
        parts.append(guard.probabilities(ask(looked_at, changed)[FEATURES])[:, 0])
    return np.concatenate(parts)
