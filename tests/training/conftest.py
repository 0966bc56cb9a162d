"""Networks that are quick to train, and cells to train them on."""

import pytest
from tiny import tiny, undropped

from malaria.data.drawn_cells import write_cells
from malaria.model import NETWORKS, Network


@pytest.fixture(scope="module", autouse=True)
def tiny_networks():
    """Lets `model: tiny` and `model: undropped` be trained."""
    for build in (tiny, undropped):
        NETWORKS[build.__name__] = Network(build, 8, "for tests", any_size=True)
    yield
    for build in (tiny, undropped):
        del NETWORKS[build.__name__]


@pytest.fixture(scope="package")
def cells(tmp_path_factory):
    """A folder with 12 drawn cells of each label, of 6 patients."""
    folder = tmp_path_factory.mktemp("drawn") / "cells"
    write_cells(folder, 12, seed=3, patients=6)
    return folder
