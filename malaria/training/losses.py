"""losses: what a network is trained to make small, and when an answer is correct."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from malaria.networks.backend import keras, tf


class Objective(NamedTuple):
    """Functions of targets and outputs: the loss of each image, (n,), and how right each is, 0..1.

    is_right: (n,), bool or a share.
    """

    losses: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    is_right: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def cross_entropy(outputs: int, label_smoothing: float = 0.0) -> Objective:
    """That of a network that classifies; outputs, label_smoothing: as of make_losses."""
    return Objective(make_losses(outputs, label_smoothing), is_correct)


def make_losses(
    outputs: int, label_smoothing: float
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """The cross-entropy of each image, (n,), as a function of labels and probabilities.

    outputs: 1 for a sigmoid, else the number of labels. label_smoothing: the share, 0..1, of a
    label's certainty that is spread over all labels (Szegedy et al. 2016).
    """
    if outputs == 1:
        return partial(keras.losses.binary_crossentropy, label_smoothing=label_smoothing)

    def losses(labels: tf.Tensor, probabilities: tf.Tensor) -> tf.Tensor:
        # Keras's own for integer labels has no smoothing; of two labels teachers soften them.
        if outputs == 2:
            one_hot = tf.concat([1 - labels, labels], axis=-1)
        else:
            one_hot = tf.one_hot(tf.reshape(tf.cast(labels, tf.int32), (-1,)), outputs)
        return keras.losses.categorical_crossentropy(
            one_hot, probabilities, label_smoothing=label_smoothing
        )

    return losses


def is_correct(labels: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Whether the most probable label is the true one, (n,), bool."""
    if outputs.shape[-1] <= 2:
        # Teachers soften labels.
        return tf.reshape((labels > 0.5) == (outputs[:, -1:] > 0.5), (-1,))
    predicted = tf.argmax(outputs, axis=-1, output_type=tf.int32)
    return predicted == tf.reshape(tf.cast(labels, tf.int32), (-1,))
