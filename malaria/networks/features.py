"""features: what a network's last layer decides by, for the guard."""

from malaria.networks.backend import keras
from malaria.saved.tflite import FEATURES, OUTPUT


def with_features(model: keras.Model) -> keras.Model:
    """The network with two named outputs: its own, (n, k), and its features, (n, f)."""
    return keras.Model(model.inputs[0], {OUTPUT: model.outputs[0], FEATURES: features_of(model)})


def features_of(model: keras.Model) -> keras.KerasTensor:
    """What the last layer with weights takes, (n, f)."""
    return [layer for layer in model.layers if layer.weights][-1].input
