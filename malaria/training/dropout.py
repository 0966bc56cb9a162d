"""dropout: what is dropped of an image depends on its place in the batch, not on its device."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from malaria.augmentation.draws import Draws
from malaria.networks.backend import keras, tf

# Which of the random numbers of a batch's seed are for dropout.
DROPOUT = 1


class DrawnDropouts:
    """Makes the Dropout layers of a model draw from a batch's Draws in place of Keras's counter.

    So a batch that several devices share is dropped out as on one, and a resumed training goes on
    as if it had never stopped. Outside the block of `drawing` the layers are as before.
    """

    def __init__(self, model: keras.Model) -> None:
        # TensorFlow builds the graphs of several devices in threads that take turns.
        self._now = threading.local()
        dropouts = [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
        for number, layer in enumerate(dropouts):
            layer.call = self._make_call(layer.call, layer.rate, number)

    @contextmanager
    def drawing(self, draws: Draws) -> Iterator[None]:
        """Within this block, and this thread, the layers draw from `draws`."""
        # The augmentation draws from the same seed.
        self._now.draws = draws.apart(DROPOUT)
        try:
            yield
        finally:
            del self._now.draws

    def _make_call(
        self, original: Callable[..., tf.Tensor], rate: float, number: int
    ) -> Callable[..., tf.Tensor]:
        def call(inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
            draws: Draws | None = getattr(self._now, "draws", None)
            if draws is None or not training or rate == 0:
                return original(inputs, training=training)
            kept = draws.apart(number).uniform(*inputs.shape[1:]) >= rate
            return tf.where(kept, inputs / (1 - rate), tf.zeros_like(inputs))

        return call
