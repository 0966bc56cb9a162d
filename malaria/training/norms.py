"""norms: quicker ways to compute Keras's batch norm, on one processor and over several devices."""

from collections.abc import Iterator
from functools import partial

from malaria.networks.backend import keras, tf


def fuse_norms(model: keras.Model) -> None:
    """Let every batch norm of the model take mean, variance and result in one operation.

    For training on one processor, where Keras's own dozen of operations are bound by memory:
    together they took a fifth of a step of compact. The numbers are the same but for rounding.
    """
    for layer in _norms(model):
        # Keras before 3.14 has no renorm.
        is_plain = layer.center and layer.scale and not getattr(layer, "renorm", False)
        if layer.axis in (-1, 3) and is_plain:
            layer.call = partial(_fused, layer)


def synchronize_norms(model: keras.Model) -> None:
    """Let every batch norm of the model take mean and variance over all devices.

    Keras's own way (`synchronized`) asks the others three times a layer, and three times more for
    the gradient; over a network the asking takes longer than the sums. Here it is once.
    """
    for layer in _norms(model):
        layer._moments = _moments


def _norms(model: keras.Model) -> Iterator[keras.layers.BatchNormalization]:
    return (one for one in model.layers if isinstance(one, keras.layers.BatchNormalization))


def _fused(
    layer: keras.layers.BatchNormalization,
    inputs: tf.Tensor,
    training: bool | None = None,
    mask: None = None,
) -> tf.Tensor:
    """What the layer's own call gives for (n, height, width, channels)."""
    if not (training and layer.trainable and inputs.shape.rank == 4):
        return type(layer).call(layer, inputs, training=training, mask=mask)
    gamma, beta = (tf.cast(weight, tf.float32) for weight in (layer.gamma, layer.beta))
    outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
        inputs, gamma, beta, epsilon=layer.epsilon, is_training=True
    )
    # The operation gives the variance of the population that the batch was drawn from.
    count = tf.cast(tf.reduce_prod(tf.shape(inputs)[:-1]), tf.float32)
    for kept, new in (
        (layer.moving_mean, mean),
        (layer.moving_variance, variance * (count - 1) / count),
    ):
        kept.assign(kept * layer.momentum + new * (1 - layer.momentum))
    return outputs


def _moments(inputs: tf.Tensor, mask: None = None) -> tuple[tf.Tensor, tf.Tensor]:
    """(mean, variance), (channels,) each, of (n, ..., channels) on all devices together."""
    axes = list(range(inputs.shape.rank - 1))
    count = tf.cast(tf.reduce_prod(tf.shape(inputs)[:-1]), inputs.dtype)
    sums = [tf.reduce_sum(inputs, axes), tf.reduce_sum(tf.square(inputs), axes), count[None]]
    here = tf.distribute.get_replica_context()
    total = here.all_reduce(tf.distribute.ReduceOp.SUM, tf.concat(sums, axis=0))
    first, second = tf.split(total[:-1] / total[-1], 2)
    return first, tf.maximum(second - tf.square(first), 0.0)
