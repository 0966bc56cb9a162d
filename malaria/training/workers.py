"""workers: the machines that train one network together, and which of them this process is."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from malaria.base.address import ADDRESS
from malaria.base.errors import UsageError, UserError
from malaria.base.streams import log
from malaria.base.text import printable
from malaria.networks.backend import tf

# Where Slurm's tasks listen; TensorFlow's resolver adds the number of the task on its host.
SLURM_PORT = 8888


@dataclass(frozen=True)
class Workers:
    """addresses: host:port of each. index: which of them this process is; 0 is the chief."""

    addresses: tuple[str, ...]
    index: int

    @property
    def is_chief(self) -> bool:
        """Whether this process is the one that writes."""
        return self.index == 0

    def make_strategy(self) -> tf.distribute.Strategy:
        """Wait for all workers; to be called before TensorFlow does anything else."""
        log(f"worker {self.index} of {len(self.addresses)}: waiting for the others")
        resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
            tf.train.ClusterSpec({"worker": list(self.addresses)}),
            task_type="worker",
            task_id=self.index,
            rpc_layer="grpc",
        )
        return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)


def find_workers(addresses: str | None, index: int | None) -> Workers | None:
    """The workers of the options --workers and --worker, of TF_CONFIG, or of a Slurm step.

    None where this process trains alone. Raises UsageError.
    """
    if addresses is not None:
        return _check([one.strip() for one in addresses.split(",")], index, "--workers")
    if index is not None:
        raise UsageError("--worker: expected --workers=HOST:PORT,HOST:PORT besides")
    if os.environ.get("TF_CONFIG"):
        return _of_tf_config(os.environ["TF_CONFIG"])
    # Only srun sets it: a script of sbatch that starts one process trains alone.
    if int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        return _of_slurm()
    return None


def _check(addresses: list[str], index: int | None, source: str) -> Workers | None:
    """None for a single address. Raises UsageError, naming `source`."""
    if wrong := [address for address in addresses if not ADDRESS.fullmatch(address)]:
        expected = f"HOST:PORT,HOST:PORT; received {printable(wrong[0])}"
    elif len(set(addresses)) < len(addresses):
        expected = f"each address once; received {', '.join(addresses)}"
    elif index is None or not 0 <= index < len(addresses):
        expected = f"--worker of 0 to {len(addresses) - 1}, which of them this is; received {index}"
    else:
        return Workers(tuple(addresses), index) if len(addresses) > 1 else None
    raise UsageError(f"{source}: expected {expected}")


def _of_tf_config(text: str) -> Workers | None:
    """TensorFlow's own variable: {"cluster": {"worker": [...]}, "task": {"type", "index"}}."""
    expected = 'expected {"cluster": {"worker": [...]}, "task": {"type": "worker", "index": N}}'
    try:
        known = json.loads(text)
        cluster, task = known["cluster"], known["task"]
        # A chief, where it is named apart, is the first worker.
        chiefs, others = list(cluster.get("chief", [])), list(cluster.get("worker", []))
        index = int(task["index"]) + len(chiefs) * (task["type"] == "worker")
        if task["type"] not in ("chief", "worker") or set(cluster) - {"chief", "worker"}:
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(f"TF_CONFIG: {expected}; received {printable(text)}") from None
    return _check([str(one) for one in chiefs + others], index, "TF_CONFIG")


def _of_slurm() -> Workers | None:
    resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
        port_base=SLURM_PORT, auto_set_gpu=True
    )
    addresses = resolver.cluster_spec().as_dict()["worker"]
    return _check(list(addresses), resolver.task_id, "Slurm")


@contextmanager
def raise_on_lost_worker(workers: Workers | None) -> Iterator[None]:
    """In this block the end of another worker is a UserError of one line."""
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.InternalError):
        if workers is None:
            raise
        raise UserError(
            f"another of the {len(workers.addresses)} workers has ended, or cannot be reached: "
            "start all of them again with --resume"
        ) from None
