"""connect: join a Ray cluster, or start one on this machine, while a block runs."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

from malaria.base.address import is_address, speaks_http2
from malaria.base.errors import UsageError, UserError
from malaria.base.machine import usable_cores
from malaria.base.streams import log, stderr_discarded
from malaria.base.text import quote, shorten

AUTO, LOCAL = "auto", "local"
# Nothing is sent to Ray's makers, and what Ray logs is not for our users. Without the last two,
# 2.60.0 prints each lost worker on stdout, among our rows, in spite of log_to_driver=False.
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_LOG_TO_STDERR": "0"}
QUIET |= {"RAY_DEDUP_LOGS": "1", "RAY_DEDUP_LOGS_SKIP_REGEX": "^"}
# In so many seconds a cluster lets us in or refuses.
PATIENCE = {"RAY_gcs_server_request_timeout_seconds": "20"}


@contextmanager
def connected(address: str) -> Iterator[None]:
    """A block in which Ray can be used; a line describes the cluster.

    address: "auto": the cluster that RAY_ADDRESS or `ray start` on this machine names, else as
    "local": one started here; else the HOST:PORT of one that this machine belongs to. Raises
    UserError where Ray is missing, nobody answers, or the versions differ.
    """
    ray = import_ray()
    named = (os.environ.get("RAY_ADDRESS") or AUTO) if address == AUTO else address
    if named not in (AUTO, LOCAL):
        _check_answer(named)
    try:
        started = _join_or_start(ray, named)
        log(_describe(ray) + ", started here" * started)
        yield
    finally:
        ray.shutdown()


def import_ray() -> Any:
    """The module ray, quiet. Raises UserError where it is not installed."""
    os.environ.update({**PATIENCE, **os.environ, **QUIET})
    try:
        import ray
    except ImportError:
        raise UserError(
            "--cluster needs Ray, which is not installed here: pip install -r "
            "requirements-cluster.txt"
        ) from None
    return ray


def _check_answer(address: str) -> None:
    """Raise UserError at once where Ray itself would try for long."""
    if not is_address(address):
        raise UsageError(f"RAY_ADDRESS: expected HOST:PORT; received {quote(address)}")
    expected = "expected the HOST:PORT that `ray start --head` told on the first machine"
    try:
        # With RAY_USE_TLS it speaks so too, but not in the clear.
        is_ray = speaks_http2(address) or os.environ.get("RAY_USE_TLS", "0") != "0"
    except (OSError, UnicodeError):
        raise UserError(f"--cluster: nobody answers at {address}: {expected}") from None
    if not is_ray:
        raise UserError(f"--cluster: what answers at {address} is no Ray: {expected}")
    # Attempts of 40 s, of which 2.60.0 makes 20 with a server that is no Ray. Not where a Ray is
    # started, to which it gives so many seconds.
    os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "1")


def _join_or_start(ray: Any, address: str) -> bool:
    """Whether a Ray was started. Raises UserError if there is none in the end."""
    quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
    try:
        # What C++ has to say of a failure, the exception says too.
        with stderr_discarded():
            with suppress(ConnectionError) if address == AUTO else nullcontext():
                if address != LOCAL:
                    ray.init(address=address, **quiet)
                    return False
            address = LOCAL
            ray.init(address=LOCAL, num_cpus=usable_cores(), include_dashboard=False, **quiet)
            return True
    except (OSError, RuntimeError, ValueError, ImportError, ray.exceptions.RayError) as error:
        # The first sentences say it; what follows in Ray's messages are its own addresses.
        reason = shorten(" ".join(str(error).split()), 300)
        aim = "start Ray here" if address == LOCAL else f"join {address}"
        raise UserError(
            f"--cluster: cannot {aim}: {reason}; for one that asks for a token set "
            "RAY_AUTH_MODE=token"
        ) from None


def _describe(ray: Any) -> str:
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    cores, gpus = (int(sum(node.get(key, 0) for node in nodes)) for key in ("CPU", "GPU"))
    counts = [(len(nodes), "node"), (cores, "core"), *[(gpus, "GPU")] * bool(gpus)]
    return "cluster: " + ", ".join(f"{count} {name}{'s' * (count != 1)}" for count, name in counts)
