"""Classification on a real Ray of three nodes, as processes of one machine."""

import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from malaria.base.errors import UserError
from malaria.cluster import predict_on_cluster as on_cluster
from malaria.cluster import tasks
from malaria.cluster.connect import connected
from malaria.cluster.predict_on_cluster import ENDED, predict_on_cluster
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


@pytest.fixture(scope="module")
def alone(classifier, paths):
    """The rows of one machine."""
    return list(predict(paths, classifier))


@pytest.fixture
def joined(cluster):
    """In the test, Ray is connected to three nodes."""
    with connected(cluster.address):
        yield cluster


def wait_until(is_so):
    """Whether it is so within three minutes, for Ray may take its time on a busy machine."""
    for _ in range(1800):
        if is_so():
            return True
        time.sleep(0.1)
    return False


def test_the_rows_are_those_of_one_machine_in_their_order(
    joined, classifier, paths, alone, monkeypatch
):
    monkeypatch.setattr(on_cluster, "CHUNK", 8)
    assert any(one.error for one in alone)
    assert list(predict_on_cluster(paths, classifier)) == alone


def test_a_node_that_is_killed_on_the_way_costs_one_line_and_no_row(
    joined, ray, classifier, paths, alone, monkeypatch, tmp_path, capfd
):
    predict_chunk, begun = on_cluster.predict_chunk, tmp_path / "begun"
    doomed = joined.list_all_nodes()[-1]
    doomed_id = doomed.node_id

    def hang(payload, paths):
        import ray

        is_doomed = ray.get_runtime_context().get_node_id() == doomed_id
        for item in predict_chunk(payload, paths):
            yield item
            if is_doomed:
                begun.touch()
                time.sleep(600)
            # Others leave it something to do.
            for _ in range(600):
                if begun.exists():
                    break
                time.sleep(0.1)

    def kill():
        assert wait_until(begun.exists)
        joined.remove_node(doomed, allow_graceful=False)

    monkeypatch.setattr(on_cluster, "predict_chunk", hang)
    monkeypatch.setattr(on_cluster, "CHUNK", 4)
    with ThreadPoolExecutor(1) as pool:
        killing = pool.submit(kill)
        assert list(predict_on_cluster(paths, classifier)) == alone
    killing.result()
    # What Ray itself would print of the node comes later than its loss.
    assert wait_until(lambda: sum(node["Alive"] for node in ray.nodes()) == 2)
    said = capfd.readouterr()
    assert said.out == ""
    [line] = said.err.splitlines()
    machine = socket.gethostname()
    assert line == f"cluster: lost a worker, or more, on {machine}; their work is done again"


def test_an_image_that_ends_its_process_is_a_row_and_the_others_have_theirs(
    joined, classifier, paths, alone, monkeypatch, capfd
):
    deadly, predict_chunk = str(paths[20]), on_cluster.predict_chunk

    def mortal(payload, paths):
        steps = predict_chunk(payload, paths)
        yield next(steps)
        if deadly in map(str, paths):
            os._exit(1)
        yield from steps

    monkeypatch.setattr(on_cluster, "predict_chunk", mortal)
    monkeypatch.setattr(on_cluster, "CHUNK", 2)
    rows = list(predict_on_cluster(paths, classifier))
    assert rows == [*alone[:20], Prediction(paths[20], error=ENDED), *alone[21:]]
    assert capfd.readouterr().out == ""


def test_a_node_that_joins_on_the_way_gets_chunks(joined, classifier, paths, monkeypatch):
    def tell_node(payload, paths):
        import ray

        yield "there"
        time.sleep(0.05)
        yield [Prediction(paths[0], error=ray.get_runtime_context().get_node_id())]

    monkeypatch.setattr(on_cluster, "predict_chunk", tell_node)
    joined.remove_node(joined.list_all_nodes()[-1])
    monkeypatch.setattr(on_cluster, "CHUNK", 1)
    answers = predict_on_cluster(paths * 100, classifier)
    nodes = {next(answers).error}
    joined.add_node(num_cpus=1)
    for one in answers:
        nodes.add(one.error)
        if len(nodes) == 3:
            break
    assert len(nodes) == 3


def test_what_a_worker_raises_is_raised_here(joined, classifier, paths, monkeypatch):
    def fail(payload, paths):
        yield "there"
        raise MemoryError("no more")

    monkeypatch.setattr(on_cluster, "predict_chunk", fail)
    with pytest.raises(MemoryError, match="no more"):
        list(predict_on_cluster(paths, classifier))


def test_another_version_on_a_node_is_refused(joined, classifier, paths, monkeypatch):
    monkeypatch.setattr(on_cluster, "__version__", "1.0")
    with pytest.raises(UserError, match=r"expected malaria 1.0 on every node; received \S+ on \S"):
        list(predict_on_cluster(paths, classifier))


def test_workers_that_cannot_start_are_told_and_not_tried_for_ever(
    joined, classifier, paths, monkeypatch
):
    def end(payload, paths):
        os._exit(1)
        yield

    def need(payload, paths):
        import nothing_of_this_name

        yield nothing_of_this_name

    monkeypatch.setattr(tasks, "FAILED_STARTS", 2)
    for task, message in (
        (end, "--cluster: a worker cannot start: expected this program"),
        (need, r"cannot start: .* every node; No module named 'nothing_"),
    ):
        monkeypatch.setattr(on_cluster, "predict_chunk", task)
        with pytest.raises(UserError, match=message):
            list(predict_on_cluster(paths, classifier))
