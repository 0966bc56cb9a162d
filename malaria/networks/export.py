"""export: a network as a .tflite, which answers without TensorFlow."""

import io
import json
from contextlib import redirect_stdout

from malaria.base.streams import stderr_kept_back
from malaria.networks.backend import keras, tf
from malaria.networks.features import with_features
from malaria.networks.load_model import silence
from malaria.networks.rebuild import rebuild


def to_tflite(model: keras.Model, *, features: bool = False, half: bool = False) -> bytes:
    """The network in LiteRT's form as bytes; it takes any number of images at once.

    features: with those as a second output, which a guard needs. half: store the weights as
    float16; it computes in float32 all the same.
    """
    if any(layer.compute_dtype != "float32" for layer in model.layers):
        plain = rebuild(json.loads(model.to_json()))
        plain.set_weights(model.get_weights())
        model = plain
    model = with_features(model) if features else model
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if half:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    with stderr_kept_back(), silence(), redirect_stdout(io.StringIO()):
        content: bytes = converter.convert()
    return content
