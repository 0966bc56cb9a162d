"""features: the numbers by which the guard tells what is no cell, from within a network."""

from malaria.networks.backend import keras
from malaria.saved.tflite import FEATURES, OUTPUT


def with_features(model: keras.Model) -> keras.Model:
    """The network with two named outputs: its own, (n, k), and its features, (n, f)."""
    return keras.Model(model.inputs[0], {OUTPUT: model.outputs[0], FEATURES: features_of(model)})


def features_of(model: keras.Model) -> keras.KerasTensor:
    """Average and maximum of each channel of the network's last maps, (n, f).

    Wide layers behind the maps keep what tells the labels and lose the rest. Of a network without
    maps: what its last layer with weights takes.
    """
    maps = [layer.output for layer in model.layers if _has_maps(layer)]
    if not maps:
        return [layer for layer in model.layers if layer.weights][-1].input
    pooled = [
        keras.layers.GlobalAveragePooling2D(name="feature_average")(maps[-1]),
        keras.layers.GlobalMaxPooling2D(name="feature_maximum")(maps[-1]),
    ]
    return keras.layers.Concatenate(name="features")(pooled)


def _has_maps(layer: keras.layers.Layer) -> bool:
    """True if its one output is (n, height, width, channels), of an image or what came of it."""
    return isinstance(layer.output, keras.KerasTensor) and len(layer.output.shape) == 4
