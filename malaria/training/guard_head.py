"""guard_head: a second output, of the training only, that tells images that are no single cell.

In each step the network also sees images that show no cell, changed at random as all are, and the
layer that is to tell them learns with it. So its features, by which it decides, tell them too. The
layer becomes the model's Guard (inference/guard.py); the network is saved without it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from malaria.data.labelled_images import LabelledImages
from malaria.inference.guard import CELL, NONE, OTHER, SEVERAL, Guard
from malaria.networks.ask import ask
from malaria.networks.backend import keras, tf
from malaria.networks.features import features_of, with_features
from malaria.saved.tflite import FEATURES
from malaria.training.batches import validation_batches

NAME = "kind"
# How much the second output weighs in the loss, beside 1 for the label.
WEIGHT = 0.5
# The share of the validation cells that may be called no cells; but whatever is a cell to it with
# this probability is one, or another laboratory's would be none.
SHARE, SURE = 0.002, 0.1
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
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=kinds, logits=logits)


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
    trained: keras.Model, plain: keras.Model, images: LabelledImages, kinds: tuple[str, ...]
) -> Guard:
    """The Guard of a trained network, with its threshold by the validation images.

    trained: with the second output, of these kinds; plain: the same network without it.
    """
    kernel, bias = trained.get_layer(NAME).get_weights()
    guard = Guard(kinds, np.vstack([kernel, bias]), SURE)
    looked_at = with_features(plain)
    sure = [
        guard.probabilities(ask(looked_at, batch.images)[FEATURES])[:, 0]
        for batch in validation_batches(images.pixels, images.validation, BATCH)
    ]
    return replace(guard, threshold=min(SURE, float(np.quantile(np.concatenate(sure), SHARE))))
