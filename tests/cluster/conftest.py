"""A Ray of three nodes on this machine, where Ray is installed."""

import pytest

from malaria.base.errors import UserError
from malaria.cluster.connect import import_ray
from malaria.data.drawn_cells import write_cells


@pytest.fixture(scope="package", autouse=True)
def own_settings():
    """Ray's token is not kept in the home of who runs the tests; lost nodes are noticed soon, and
    workers are as important as other processes, else they hardly run on a busy machine.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_TOKEN", "0" * 64)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_health_check_initial_delay_ms", "0")
        patch.setenv("RAY_health_check_period_ms", "300")
        patch.setenv("RAY_worker_niceness", "0")
        patch.delenv("RAY_ADDRESS", raising=False)
        yield


@pytest.fixture(scope="package")
def ray():
    """Imported as the program does it, with its settings."""
    try:
        return import_ray()
    except UserError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="package")
def cells(tmp_path_factory):
    """A folder with 60 drawn cells of 6 patients, and among them one file that is no image."""
    folder = tmp_path_factory.mktemp("cells") / "cells"
    write_cells(folder, 30, seed=1, patients=6)
    (folder / "Parasitized" / "C1_damaged.png").write_bytes(b"\x89PNG\r\nno more")
    return folder


@pytest.fixture(scope="package")
def any_cluster(ray):
    """Nodes of one core each, the first of which cannot be lost."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
    )
    yield cluster
    cluster.shutdown()


@pytest.fixture
def cluster(any_cluster):
    """Three nodes; those that an earlier test ended are replaced."""
    for node in any_cluster.list_all_nodes():
        if not node.remaining_processes_alive():
            any_cluster.remove_node(node, allow_graceful=False)
    for _ in range(3 - len(any_cluster.list_all_nodes())):
        any_cluster.add_node(num_cpus=1)
    any_cluster.wait_for_nodes()
    return any_cluster
