"""guard_head: a second output, of the training only, that tells images that are no single cell.

In each step the network also sees images that show no cell, changed at random as all are, and the
layer that is to tell them learns with it. So its features, by which it decides, tell them too, and
in the end the model's Guard (inference/guard.py) is fitted to these.
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
from malaria.training.other_images import SHARE as SHARE_OF_OTHERS
from malaria.training.other_images import OtherImages

NAME = "kind"
# How much the second output weighs in the loss, beside 1 for the label.
WEIGHT = 0.5
# Label smoothing, lest probabilities of strange images lie at 0 and 1.
SMOOTHING = 0.02
# Of the validation cells of each source, changed at random as in training, this share may be called
# no cells: so changed they stand for those of another laboratory. But never one that is likelier a
# cell than this: to hide a cell is worse than to show what is none.
SHARE, SURE = 0.001, 0.01
# Of each source at most so many are looked at; a guard is fitted to so many training images.
MOST, FITTED = 2000, 6000
# The inverse of the regularization of scikit-learn's regression, and its most iterations.
STRENGTH, STEPS = 0.1, 300
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


def fit_guard(
    plain: keras.Model,
    images: LabelledImages,
    others: OtherImages,
    kinds: tuple[str, ...],
    amounts: Amounts,
) -> Guard:
    """The Guard of a trained network, a logistic regression on its features.

    It is fitted to training images and others, changed at random as in training: what the second
    output has taught the network is told best by weights that were fitted to the end. Its threshold
    is by the validation images. amounts: of the random changes.
    """
    from sklearn.linear_model import LogisticRegression

    looked_at = with_features(plain)
    chosen = np.random.RandomState(0).permutation(images.training)[:FITTED]
    cells = _features(looked_at, images.pixels.read(chosen), amounts)
    none = _features(looked_at, others.images, amounts)
    features = np.concatenate([cells, none])
    targets = np.concatenate([np.zeros(len(cells), int), others.kinds])
    # As likely as in a batch.
    counts = np.bincount(targets)
    share = np.array([1, *[SHARE_OF_OTHERS / (len(kinds) - 1)] * (len(kinds) - 1)])
    weights = (share / counts)[targets] * len(targets) / share.sum()
    middle, width = cells.mean(axis=0), features.std(axis=0) + 1e-6
    fitted = LogisticRegression(C=STRENGTH, max_iter=STEPS).fit(
        (features - middle) / width, targets, sample_weight=weights
    )
    kernel = fitted.coef_.T / width[:, None]
    bias = fitted.intercept_ - middle @ kernel
    guard = Guard(kinds, np.vstack([kernel, bias]).astype(np.float32), SURE)
    return replace(guard, threshold=min(SURE, _lowest(guard, looked_at, images, amounts)))


def _lowest(
    guard: Guard, looked_at: keras.Model, images: LabelledImages, amounts: Amounts
) -> float:
    """The probability of a cell below which SHARE of the validation images of a source lie."""
    sources = np.array([one.source for one in images.chosen(images.validation)])
    lowest = []
    for source in dict.fromkeys(sources.tolist()):
        indices = np.random.RandomState(0).permutation(images.validation[sources == source])[:MOST]
        features = _features(looked_at, images.pixels.read(indices), amounts)
        lowest.append(np.quantile(guard.probabilities(features)[:, 0], SHARE))
    return float(min(lowest))


def _features(looked_at: keras.Model, images: np.ndarray, amounts: Amounts) -> np.ndarray:
    """(n, f), of (n, height, width, 3), uint8, changed at random."""
    parts = []
    for start in range(0, len(images), BATCH):
        changed = augment(images[start : start + BATCH], amounts, seed=(0, start))
        parts.append(ask(looked_at, changed)[FEATURES])
    return np.concatenate(parts)
