"""Classification on a real Ray of three nodes, as processes of one machine."""

import os
import socket
import time
from itertools import cycle

import pytest

from malaria.base.errors import UserError
from malaria.cluster import crew
from malaria.cluster.connect import connected
from malaria.cluster.predict_on_cluster import predict_on_cluster
from malaria.cluster.work import ENDED
from malaria.cluster.worker import Worker
from malaria.inference.load_classifier import load_classifier
from malaria.inference.predict import predict
from malaria.inference.prediction import Prediction
from malaria.pictures.folders import find_images


@pytest.fixture(scope="module")
def classifier():
    return load_classifier(engine="litert").with_threshold(0.4, review=(0.3, 0.7))


@pytest.fixture(scope="module")
def paths(cells):
    return list(find_images(cells))


@pytest.fixture
def joined(cluster):
    """In the test, Ray is connected to three nodes; one that a test killed is replaced."""
    for _ in range(3 - len(cluster.list_all_nodes())):
        cluster.add_node(num_cpus=1)
    with connected(cluster.address):
        yield cluster


def test_the_rows_are_those_of_one_machine_in_their_order(joined, classifier, paths):
    alone = list(predict(paths, classifier))
    assert any(one.error for one in alone)
    assert list(predict_on_cluster(paths, classifier, chunk_size=8)) == alone


def test_a_node_that_is_killed_on_the_way_costs_one_line_and_no_row(
    joined, ray, classifier, paths, capfd
):
    many = paths * 20
    answers = predict_on_cluster(many, classifier, chunk_size=16)
    rows = [next(answers) for _ in range(100)]
    joined.remove_node(joined.list_all_nodes()[-1], allow_graceful=False)
    rows += answers
    assert rows == list(predict(paths, classifier)) * 20
    while sum(node["Alive"] for node in ray.nodes()) == 3:
        time.sleep(0.1)
    said = capfd.readouterr()
    assert said.out == ""
    [line] = said.err.splitlines()
    machine = socket.gethostname()
    assert line == f"cluster: lost a worker on {machine}; its work is done again"


def test_a_picture_that_ends_its_process_is_a_row_and_the_others_have_theirs(
    joined, classifier, paths, tmp_path, monkeypatch
):
    deadly = str(paths[20])

    class Mortal(Worker):
        def predict(self, paths, *, fields):
            if deadly in map(str, paths):
                os._exit(1)
            return super().predict(paths, fields=fields)

    monkeypatch.setattr(crew, "Worker", Mortal)
    rows = list(predict_on_cluster(paths, classifier, chunk_size=2))
    expected = list(predict(paths, classifier))
    expected[20] = Prediction(paths[20], error=ENDED)
    assert rows == expected


def test_a_node_that_joins_on_the_way_gets_a_worker(joined, ray, classifier, paths, monkeypatch):
    class Telling(Worker):
        def predict(self, paths, *, fields):
            time.sleep(0.05)
            return [Prediction(paths[0], error=ray.get_runtime_context().get_node_id())]

    monkeypatch.setattr(crew, "Worker", Telling)
    joined.remove_node(joined.list_all_nodes()[-1])
    answers = predict_on_cluster(cycle(paths), classifier, chunk_size=1)
    nodes = set()
    while len(nodes) < 2:
        nodes.add(next(answers).error)
    joined.add_node(num_cpus=1)
    while len(nodes) < 3:
        nodes.add(next(answers).error)


def test_what_a_worker_raises_is_raised_here(joined, classifier, paths, monkeypatch):
    class Failing(Worker):
        def predict(self, paths, *, fields):
            raise MemoryError("no more")

    monkeypatch.setattr(crew, "Worker", Failing)
    with pytest.raises(MemoryError, match="no more"):
        list(predict_on_cluster(paths, classifier))


def test_another_version_on_a_node_is_refused(joined, classifier, paths, monkeypatch):
    class Older(Worker):
        def load(self, baggage):
            return "there", "1.0"

    monkeypatch.setattr(crew, "Worker", Older)
    with pytest.raises(UserError, match=r"expected malaria \S+ on every node; received 1.0 on the"):
        list(predict_on_cluster(paths, classifier))


def test_workers_that_cannot_start_are_told_and_not_tried_for_ever(
    joined, classifier, paths, monkeypatch
):
    class Stillborn(Worker):
        def load(self, baggage):
            os._exit(1)

    monkeypatch.setattr(crew, "Worker", Stillborn)
    with pytest.raises(UserError, match="--cluster: a worker cannot start: expected this program"):
        list(predict_on_cluster(paths, classifier))
