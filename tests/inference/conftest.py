"""What the tests of classifier.py and of load.py share: saved networks."""

import json

import pytest

from malaria.saved.metadata import KEY

ENTRIES = {
    "labels": ["sick", "well"],
    "positive_label": "well",
    "image_size": [8, 6],
    "pixels": {"colour": "RGB", "resampling": "bilinear", "scale": 1 / 255},
    "threshold": 0.5,
}


def network(outputs=1):
    from malaria.networks.backend import keras

    keras.utils.set_random_seed(outputs)
    return keras.Sequential(
        [
            keras.Input((8, 6, 3)),
            keras.layers.Conv2D(2, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(outputs, activation="sigmoid" if outputs == 1 else "softmax"),
        ]
    )


@pytest.fixture(scope="session")
def pairs(tmp_path_factory):
    """Saved networks: ours, and two without metadata, one of them of three labels."""
    from malaria.networks.save import save_pair

    folder = tmp_path_factory.mktemp("pairs")
    made = {
        "ours": network(),
        "historic": network(),
        "three": network(3),
    }
    for name, model in made.items():
        pair = save_pair(model, folder, name, ENTRIES)
        if name != "ours":
            architecture = json.loads(pair.architecture.read_text(encoding="utf-8"))
            del architecture[KEY]
            pair.architecture.write_text(json.dumps(architecture), encoding="utf-8")
        made[name] = (pair.weights, model)
    return made
