"""A network so small that its step is built in a second, and cells to train it on."""

import pytest

from malaria.data.drawn_cells import write_cells
from malaria.model import NETWORKS, Network
from malaria.networks.backend import keras
from malaria.networks.blocks import output


def tiny(image_size, label_count):
    """One convolution with batch norm and dropout; 69 weights with two labels."""
    image = keras.Input((*image_size, 3), name="image")
    maps = keras.layers.Conv2D(2, 3, activation="relu", name="conv")(image)
    maps = keras.layers.BatchNormalization(momentum=0.9, name="conv_norm")(maps)
    pooled = keras.layers.GlobalMaxPooling2D(name="maximum")(maps)
    pooled = keras.layers.Dropout(0.3, name="dropout")(pooled)
    return keras.Model(image, output(label_count)(pooled), name="tiny")


@pytest.fixture(scope="module", autouse=True)
def tiny_network():
    """Lets `model: tiny` be trained."""
    NETWORKS["tiny"] = Network(tiny, 8, "for tests", any_size=True)
    yield
    del NETWORKS["tiny"]


@pytest.fixture(scope="package")
def cells(tmp_path_factory):
    """A folder with 12 drawn cells of each label, of 6 patients."""
    folder = tmp_path_factory.mktemp("drawn") / "cells"
    write_cells(folder, 12, seed=3, patients=6)
    return folder
