"""export: a network as a .tflite, which answers without TensorFlow."""

import io
import json
from contextlib import redirect_stdout

from malaria.base.streams import stderr_kept_back
from malaria.networks.backend import keras, tf
from malaria.networks.load_model import build, silence


def to_tflite(model: keras.Model) -> bytes:
    """The network in LiteRT's form, float32, as bytes; it takes any number of images at once."""
    if any(layer.compute_dtype != "float32" for layer in model.layers):
        plain = build(json.loads(model.to_json()))
        plain.set_weights(model.get_weights())
        model = plain
    with stderr_kept_back(), silence(), redirect_stdout(io.StringIO()):
        content: bytes = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    return content
