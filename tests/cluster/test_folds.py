"""Cross-validation on a real Ray of three nodes, one of which ends in the middle."""

import os
import re
import signal

import numpy as np
import pytest

from malaria.base.errors import UserError
from malaria.cluster import folds
from malaria.cluster.connect import connected
from malaria.settings.augmentation_settings import Augmentation
from malaria.settings.config import Config
from malaria.training.cross_validation import cross_validate

COUNT = 2


@pytest.fixture(scope="module")
def settings(cells):
    known = {"model": "keras_cnn", "image_size": (22, 22), "epochs": 3, "batch_size": 8}
    known |= {"devices": "cpu", "deterministic": True, "guard": False}
    return Config(train_images=str(cells), augmentation=Augmentation(flips=True), **known)


@pytest.fixture(scope="module")
def alone(settings, determinism, tmp_path_factory):
    """Folds in turn."""
    models = {"output_models": str(tmp_path_factory.mktemp("alone"))}
    return cross_validate(settings.model_copy(update=models), COUNT)


def test_folds_side_by_side_have_the_bits_of_folds_in_turn_though_a_node_is_lost(
    settings, alone, cluster, tmp_path, monkeypatch
):
    head, is_lost, run_fold = cluster.head_node.node_id, tmp_path / "lost", folds.run_fold

    def lose_node(*arguments):
        """The first fold that has two epochs, on a node that can be lost, ends its node."""
        import ray

        can_be_lost = ray.get_runtime_context().get_node_id() != head
        for line in run_fold(*arguments):
            yield line
            if can_be_lost and "epoch 2/3" in line and not is_lost.exists():
                is_lost.touch()
                os.kill(os.getppid(), signal.SIGKILL)
                os._exit(1)

    lines = []
    monkeypatch.setattr(folds, "run_fold", lose_node)
    monkeypatch.setattr(folds, "log", lines.append)
    config = settings.model_copy(update={"output_models": str(tmp_path / "many")})
    with connected(cluster.address):
        found = cross_validate(config, COUNT, elsewhere=folds.run_on_cluster)
    assert found.text == alone.text
    for number in range(1, COUNT + 1):
        answers = [np.load(one.folder / f"fold{number}.npy") for one in (found, alone)]
        np.testing.assert_array_equal(*answers)
    names = {path.name for path in found.folder.iterdir()}
    assert names == {path.name for path in alone.folder.iterdir()}
    assert all(re.match(r"fold [12]: ", line) for line in lines)
    [line] = [line for line in lines if "goes on elsewhere" in line]
    after = "\n".join(lines[lines.index(line) :])
    # An epoch is told before its state is written, and the next may be done before the node ends.
    assert re.search(rf"{line[:6]}: going on after epoch [123]\n", after)


def test_what_a_fold_raises_is_raised_here(settings, cluster, tmp_path):
    config = settings.model_copy(update={"output_models": str(tmp_path)})
    with (
        connected(cluster.address),
        pytest.raises(UserError, match=r"no folder .*gone on .*: expected output_models"),
    ):
        folds.run_on_cluster(config, COUNT, tmp_path / "gone", ["1"])


def node(cpu, gpu=0, alive=True):
    return {"Alive": alive, "Resources": {"CPU": cpu, "GPU": gpu}}


@pytest.mark.parametrize(
    ("nodes", "cores", "gpus"),
    [
        ([node(2)], 1, 0),
        ([node(16)], 3, 0),
        ([node(8), node(8)], 2, 0),
        ([node(64), node(2)], 12, 0),
        ([node(8), node(64, alive=False)], 1, 0),
        ([node(16, 4), node(32)], 4, 1),
        ([node(16, 8)], 3, 1),
        ([node(0)], 1, 0),
    ],
)
def test_cores_are_shared_so_that_most_of_five_folds_run_at_once(nodes, cores, gpus):
    assert folds.share(nodes, 5) == {"num_cpus": cores, "num_gpus": gpus}
