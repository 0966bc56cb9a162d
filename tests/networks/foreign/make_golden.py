#!/usr/bin/env python3
"""Make the golden files beside this script: one small network as other programs save it.

    python tests/networks/foreign/make_golden.py

Needs tf_keras (Keras 2) beside keras (Keras 3). The versions are in expected.json, with what each
network answers to the images of `pictures()`.
"""

import json
import os
import shutil
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf
import tf_keras

HERE = Path(__file__).parent
SIDE = 16


def pictures():
    """(4, SIDE, SIDE, 3), uint8."""
    return np.random.RandomState(5).randint(0, 256, (4, SIDE, SIDE, 3)).astype(np.uint8)


def make(library):
    """A network with a nested part, augmentation and batch norm; it takes grey levels 0..255."""
    layers = library.layers
    conv = layers.Conv2D(4, 3, strides=2, use_bias=False, name="conv")
    norm, relu = layers.BatchNormalization(name="norm"), layers.ReLU(name="relu")
    body = library.Sequential([conv, norm, relu], name="body")
    start = library.Input((SIDE, SIDE, 3), name="picture")
    maps = layers.RandomFlip(name="flip")(start)
    maps = body(layers.Rescaling(1 / 255, name="rescale")(maps))
    pooled = layers.GlobalAveragePooling2D(name="pool")(maps)
    model = library.Model(start, layers.Dense(1, activation="sigmoid", name="end")(pooled))
    random = np.random.RandomState(7)
    model.set_weights(
        [random.uniform(0.1, 1, w.shape) - 0.4 * (w.ndim > 1) for w in model.get_weights()]
    )
    return model


def main():
    expected = {"versions": {"keras": keras.__version__, "tf_keras": tf_keras.__version__}}
    second, third = make(tf_keras), make(keras)
    shutil.rmtree(HERE / "keras2_saved_model", ignore_errors=True)
    for name in ("keras2_whole.h5", "keras2.keras", "keras2_saved_model"):
        second.save(HERE / name)
    for name in ("keras3_whole.h5", "keras3.keras"):
        third.save(HERE / name)
    third.save_weights(HERE / "keras3_weights.weights.h5")
    (HERE / "keras3_weights.json").write_text(third.to_json())
    lone = tf.lite.TFLiteConverter.from_keras_model(third).convert()
    (HERE / "lone.tflite").write_bytes(lone)
    floats = pictures().astype(np.float32)
    for name, model in (("keras2", second), ("keras3", third)):
        expected[name] = model.predict(floats, verbose=0)[:, 0].tolist()
    (HERE / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
