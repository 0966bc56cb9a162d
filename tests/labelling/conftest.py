"""What the tests of labelling share: cells of fields, a plain model, and a table of labels."""

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from plain_network import PlainNetwork

from malaria.inference.classifier import Classifier
from malaria.inference.prediction import UNLIKE, Prediction
from malaria.labelling.label_server import LabelServer
from malaria.labelling.label_session import LabelSession
from malaria.labelling.label_table import RANDOM, LabelRow
from malaria.pictures.box import Box
from malaria.pictures.images import PixelFormat
from malaria.saved.metadata import Metadata

LABELS = ("Parasitized", "Uninfected")
RARE = [0.9] + [0.1] * 19  # of 2,000 cells 100 are called parasitized


@pytest.fixture
def model():
    metadata = Metadata(LABELS, "Parasitized", PixelFormat((9, 7)))
    return Classifier(metadata, PlainNetwork(lambda images: images[:, :1, 0, 0]))


@pytest.fixture
def make_cells(model, tmp_path):
    """A function: `each` cells of every field with these probabilities of Parasitized."""

    def make(fields=4, each=25, positive=None, unlike=(), patients=2, folder=tmp_path):
        rng = np.random.default_rng(0)
        cells = []
        for number in range(fields * each):
            field, place = divmod(number, each)
            known = rng.random() if positive is None else positive[number % len(positive)]
            cell = Prediction(
                Path(folder) / f"field{field}.png",
                LABELS[known < model.metadata.threshold],
                max(known, 1 - known),
                (known, 1 - known),
                group=f"patient{field % patients}",
                box=Box(20 * (place % 10), 20 * (place // 10), 18, 18),
            )
            if number in unlike:
                cell = replace(cell, label=UNLIKE, unlike="no cell")
            cells.append(cell)
        return cells

    return make


@pytest.fixture
def cells(make_cells):
    return make_cells(fields=40, each=50, positive=RARE)


@pytest.fixture
def pair(cells):
    """A function: (row, cell) for the labels of so many cells that are called so."""

    def give(called, labels, why=RANDOM, stands_for=None):
        same = [cell for cell in cells if cell.label == called]
        stands_for = stands_for or len(same) / len(labels)
        return [
            (
                LabelRow(cell.path, cell.box, label, cell.group, "Ana", "now", why, called,
                         cell.probabilities[0], stands_for if why == RANDOM else None),
                cell,
            )
            for cell, label in zip(same, labels, strict=False)
        ]  # fmt: skip

    return give


@pytest.fixture
def session(make_cells, model, tmp_path):
    return LabelSession(make_cells(), model, tmp_path / "labels.csv", who="Ana", count=40)


@contextmanager
def running(session, predictions=(), notes=()):
    """A server of the session, until the block ends."""
    with LabelServer(session, predictions, notes) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def serve():
    """The context manager `running`."""
    return running
