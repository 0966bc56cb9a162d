"""workers: the machines that train one network together, and which of them this process is."""

import json
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from malaria.base.address import is_address, split_address
from malaria.base.errors import UsageError, UserError
from malaria.base.streams import log
from malaria.base.text import quote, shorten
from malaria.networks.backend import tf
from malaria.training.slurm import find_tasks, is_step


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
        """Wait for all workers; to be called before TensorFlow does anything else.

        Raises UserError where one cannot be at its address, for TensorFlow would wait for ever.
        """
        _check_places(self.addresses, self.index)
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
    return _check(*find_tasks(), "Slurm") if is_step() else None


def _check(addresses: list[str], index: int | None, source: str) -> Workers | None:
    """None for a single address. Raises UsageError, naming `source`."""
    if wrong := [address for address in addresses if not is_address(address)]:
        expected = f"HOST:PORT,HOST:PORT with ports from 1 to 65535; received {quote(wrong[0])}"
    elif len(set(addresses)) < len(addresses):
        expected = f"each address once; received {shorten(', '.join(addresses), 200)}"
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
        # Not 1.9 nor true, which are numbers too.
        index = range(len(cluster[task["type"]])).index(int(str(task["index"])))
        index += len(chiefs) * (task["type"] == "worker")
        if set(cluster) - {"chief", "worker"}:
            raise ValueError
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise UsageError(f"TF_CONFIG: {expected}; received {shorten(text, 200)}") from None
    return _check([str(one) for one in chiefs + others], index, "TF_CONFIG")


def _check_places(addresses: Sequence[str], index: int) -> None:
    """Raise UserError for a name of no machine, and unless this one has the address of index."""
    places = {}
    for address in addresses:
        try:
            places[address] = socket.getaddrinfo(*split_address(address), type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise UserError(f"workers: no machine is known here by the name in {address}") from None
    own, reasons = addresses[index], []
    for family, kind, protocol, _, place in places[own]:
        with socket.socket(family, kind, protocol) as listener:
            try:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(place)
                return
            except OSError as error:
                reasons.append(error.strerror)
    raise UserError(
        f"worker {index} cannot listen at {own}: {reasons[0]}; expected an address of this machine "
        "with a free port: is --worker, or the task's index, right?"
    )


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
