"""What the tests of this room share: saved networks, a folder of cells."""

import json

import pytest

from malaria.pictures.images import PixelFormat
from malaria.saved.metadata import KEY, Metadata

ENTRIES = Metadata(("sick", "well"), "well", PixelFormat((8, 6))).to_entries()


def network(outputs=1):
    from malaria.networks.backend import keras

    keras.utils.set_random_seed(outputs)
    conv = keras.layers.Conv2D(2, 3, activation="relu")
    end = keras.layers.Dense(outputs, activation="sigmoid" if outputs == 1 else "softmax")
    pool = keras.layers.GlobalAveragePooling2D()
    return keras.Sequential([keras.Input((8, 6, 3)), conv, pool, end])


@pytest.fixture(scope="session")
def pairs(tmp_path_factory):
    """Saved networks: ours, and two without metadata, one of them of three labels."""
    from malaria.networks.save import save_pair

    folder = tmp_path_factory.mktemp("pairs")
    made = {"ours": network(), "historic": network(), "three": network(3)}
    for name, model in made.items():
        pair = save_pair(model, folder, name, ENTRIES)
        if name != "ours":
            architecture = json.loads(pair.architecture.read_text(encoding="utf-8"))
            del architecture[KEY]
            pair.architecture.write_text(json.dumps(architecture), encoding="utf-8")
        made[name] = (pair.weights, model)
    return made
