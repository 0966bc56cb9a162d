"""A Ray of three nodes on this machine, where Ray is installed."""

import pytest

from malaria.data.drawn_cells import write_cells


@pytest.fixture(scope="package", autouse=True)
def own_token():
    """Ray's token is not kept in the home of who runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_TOKEN", "0" * 64)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.delenv("RAY_ADDRESS", raising=False)
        yield


@pytest.fixture(scope="module")
def ray():
    return pytest.importorskip(
        "ray", reason="Ray is not installed: pip install -r requirements-cluster.txt"
    )


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """A folder with 60 drawn cells of 6 patients, and among them one file that is no picture."""
    folder = tmp_path_factory.mktemp("cells") / "cells"
    write_cells(folder, 30, seed=1, patients=6)
    (folder / "Parasitized" / "C1_damaged.png").write_bytes(b"\x89PNG\r\nno more")
    return folder


@pytest.fixture(scope="module")
def cluster(ray):
    """Three nodes of one core each, the first of which cannot be lost."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
    )
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    yield cluster
    cluster.shutdown()
