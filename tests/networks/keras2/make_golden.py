"""Write the golden pairs beside this script: what Keras 2 saved, and what it answers.

tf_keras, the last Keras 2, makes small networks in the shape of the original's, saves their
weights and records its probabilities; the tests then need no tf_keras. Each JSON is put into the
form of its year, and tf_keras must read that form too before it counts. Same seed, same files
but for the times inside the .h5. Run: python tests/networks/keras2/make_golden.py (10 seconds)
"""

import json
from pathlib import Path

import numpy as np
import tf_keras
from tf_keras import layers

HERE = Path(__file__).parent
SEED = 20190318
SIDE = 20


def main():
    tf_keras.utils.set_random_seed(SEED)
    random = np.random.default_rng(SEED)
    # From dark to bright: pure noise of one brightness would get six equal answers.
    brightness = np.linspace(0.1, 1, 6, dtype=np.float32).reshape(6, 1, 1, 1)
    pictures = random.random((6, SIDE, SIDE, 3), dtype=np.float32) * brightness
    recorded = {"pictures": pictures}
    for name, (model, form) in pairs().items():
        set_weights(model, random)
        model.save_weights(HERE / f"{name}.h5", save_format="h5")
        architecture = form(json.loads(model.to_json()))
        (HERE / f"{name}.json").write_text(json.dumps(architecture) + "\n")
        recorded[name] = read_again(name, pictures)
        assert np.array_equal(recorded[name], model.predict(pictures, verbose=0))
        print(name, recorded[name].ravel().round(3))
    np.savez_compressed(HERE / "golden.npz", **recorded)


def pairs():
    """{name: (network, what turns its JSON into the form of that year)}."""
    return {
        "form_2018": (original_in_small(), as_2018),
        "form_2019": (original_in_small(), as_2019),
        "form_tf2": (original_in_small(), lambda architecture: architecture),
        "form_tf2_branches": (branches(), lambda architecture: architecture),
    }


def original_in_small():
    """The original's plan with few filters: convolutions, pools, dropout, dense, one sigmoid."""
    first = layers.Conv2D(4, 3, activation="relu", input_shape=(SIDE, SIDE, 3))
    hidden = [first, layers.MaxPooling2D()]
    hidden += [layers.Conv2D(6, 3, activation="relu") for _ in range(2)]
    hidden += [layers.MaxPooling2D(), layers.Flatten(), layers.Dropout(0.3)]
    hidden += [layers.Dense(8, activation="relu"), layers.Dense(1, activation="sigmoid")]
    return tf_keras.Sequential(hidden)


def branches():
    """Two branches of equal shapes, which weights loaded by order could mistake for each other."""
    start = layers.Input((SIDE, SIDE, 3))
    left = layers.Conv2D(4, 3, padding="same", use_bias=False, name="left")(start)
    left = layers.LeakyReLU(0.1)(layers.BatchNormalization()(left))
    right = layers.Conv2D(4, 3, padding="same", use_bias=False, name="right")(start)
    right = layers.ReLU(max_value=0.5)(layers.BatchNormalization(epsilon=1e-5)(right))
    joined = layers.Concatenate()([layers.Add()([left, right]), right, left])
    joined = layers.DepthwiseConv2D(3, dilation_rate=2)(layers.ZeroPadding2D((0, 1))(joined))
    joined = layers.SeparableConv2D(4, 3, depth_multiplier=2, activation="elu")(joined)
    joined = layers.GlobalAveragePooling2D()(layers.AveragePooling2D()(joined))
    return tf_keras.Model(start, layers.Dense(3, activation="softmax")(joined))


def set_weights(model, random):
    """Random weights everywhere, biases and moving averages too: none may go unnoticed."""
    for weight in model.weights:
        lowest = 0.1 if "moving_variance" in weight.name else -0.25
        weight.assign(random.uniform(lowest, 0.3, weight.shape))


def as_2019(architecture):
    """As TensorFlow 2.0 wrote it in early 2019: no InputLayer, no modules, no build_config."""
    first, *hidden = map(bare_layer, architecture["config"]["layers"])
    hidden[0]["config"]["batch_input_shape"] = first["config"]["batch_input_shape"]
    config = {"name": "sequential", "layers": hidden}
    return {**architecture, "config": config, "keras_version": "2.2.4-tf"}


def as_2018(architecture):
    """As Keras 2.1 wrote it: the config is the list of layers itself."""
    hidden = as_2019(architecture)["config"]["layers"]
    return {**architecture, "config": hidden, "keras_version": "2.1.6"}


def bare_layer(entry):
    config = {
        key: {"class_name": value["class_name"], "config": value["config"]}
        if isinstance(value, dict)
        else value
        for key, value in entry["config"].items()
    }
    return {"class_name": entry["class_name"], "config": config}


def read_again(name, pictures):
    """The probabilities of the pair on disk, as tf_keras reads it: (6, labels)."""
    model = tf_keras.models.model_from_json((HERE / f"{name}.json").read_text())
    model.load_weights(HERE / f"{name}.h5")
    return model.predict(pictures, verbose=0)


if __name__ == "__main__":
    main()
