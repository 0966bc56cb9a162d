"""norms: Keras's batch norm, computed in fewer operations."""

from malaria.networks.backend import keras, tf


class FastBatchNorm(keras.layers.BatchNormalization):
    """The numbers of Keras's own layer while training, but for rounding.

    On one processor mean, variance and result are one operation; Keras's dozen are bound by memory
    and took a fifth of a step of compact. On several devices mean and variance are those of the
    whole batch and take one sum over all devices; Keras's `synchronized` takes three, and over a
    network waiting for them takes longer than the sums.
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: None = None) -> tf.Tensor:
        """inputs: (n, ..., channels); the result has the same shape and type."""
        several = tf.distribute.get_strategy().num_replicas_in_sync > 1
        if not (training and self.trainable and (several or inputs.shape.rank == 4)):
            return super().call(inputs, training=training, mask=mask)
        outputs, mean, variance = (self._over_devices if several else self._fused)(inputs)
        for average, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
            average.assign(average * self.momentum + new * (1 - self.momentum))
        return outputs

    def _fused(self, inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """(outputs, mean, variance) of (n, height, width, channels)."""
        gamma, beta = (tf.cast(weight, tf.float32) for weight in (self.gamma, self.beta))
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, gamma, beta, epsilon=self.epsilon, is_training=True
        )
        # The operation gives the variance of the population that the batch was drawn from.
        count = tf.cast(tf.reduce_prod(tf.shape(inputs)[:-1]), tf.float32)
        return outputs, mean, variance * (count - 1) / count

    def _over_devices(self, inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """(outputs, mean, variance) of (n, ..., channels) on all devices together."""
        values = tf.cast(inputs, tf.float32)
        axes = list(range(values.shape.rank - 1))
        count = tf.cast(tf.reduce_prod(tf.shape(values)[:-1]), tf.float32)
        sums = [tf.reduce_sum(values, axes), tf.reduce_sum(tf.square(values), axes), count[None]]
        here = tf.distribute.get_replica_context()
        total = here.all_reduce(tf.distribute.ReduceOp.SUM, tf.concat(sums, axis=0))
        mean, square = tf.split(total[:-1] / total[-1], 2)
        variance = tf.maximum(square - tf.square(mean), 0.0)
        gamma, beta = (tf.cast(weight, tf.float32) for weight in (self.gamma, self.beta))
        outputs = tf.nn.batch_normalization(values, mean, variance, beta, gamma, self.epsilon)
        return tf.cast(outputs, inputs.dtype), mean, variance


def with_fast_norms(model: keras.Model) -> keras.Model:
    """A copy of a network that was just built, with FastBatchNorm for each plain batch norm."""

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        kind = FastBatchNorm if _is_plain(layer) else type(layer)
        return kind.from_config(layer.get_config())

    copy = keras.models.clone_model(model, clone_function=clone)
    copy.set_weights(model.get_weights())
    return copy


def _is_plain(layer: keras.layers.Layer) -> bool:
    # Keras before 3.14 has no renorm.
    return (
        type(layer) is keras.layers.BatchNormalization
        and layer.center
        and layer.scale
        and layer.axis in (-1, 3)
        and not getattr(layer, "renorm", False)
    )
