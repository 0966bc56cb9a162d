"""ask: the outputs of a network, computed in float32 on whatever device there is."""

from typing import Any

import numpy as np

from malaria.networks.backend import keras, tf

# Images at once that keep a GPU busy; more take its memory for nothing.
AT_ONCE = 64


def ask(model: keras.Model, images: np.ndarray | tf.Tensor) -> Any:
    """The outputs, (n, k), or {name: (n, k)}, for (n, height, width, 3) float32.

    On a GPU without TF32, whose three digits move a probability by more than a thousandth, and
    without XLA, which would compile for half a minute for each number of images.
    """
    model.jit_compile = False
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        return model.predict_on_batch(images)
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)


def images_at_once() -> int | None:
    """The number of images that a GPU is best asked about at once; None without one."""
    return AT_ONCE if tf.config.list_physical_devices("GPU") else None
