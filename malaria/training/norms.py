"""norms: batch norm of the whole batch, where each of several devices has a part of it."""

from malaria.networks.backend import keras, tf


def synchronize_norms(model: keras.Model) -> None:
    """Let every batch norm of the model take mean and variance over all devices.

    Keras's own way (`synchronized`) asks the others three times a layer, and three times more for
    the gradient; over a network the asking takes longer than the sums. Here it is once.
    """
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer._moments = _moments


def _moments(inputs: tf.Tensor, mask: None = None) -> tuple[tf.Tensor, tf.Tensor]:
    """(mean, variance), (channels,) each, of (n, ..., channels) on all devices together."""
    axes = list(range(inputs.shape.rank - 1))
    count = tf.cast(tf.reduce_prod(tf.shape(inputs)[:-1]), inputs.dtype)
    sums = [tf.reduce_sum(inputs, axes), tf.reduce_sum(tf.square(inputs), axes), count[None]]
    here = tf.distribute.get_replica_context()
    total = here.all_reduce(tf.distribute.ReduceOp.SUM, tf.concat(sums, axis=0))
    first, second = tf.split(total[:-1] / total[-1], 2)
    return first, tf.maximum(second - tf.square(first), 0.0)
