"""connect: join a Ray cluster, or start one on this machine, while a block runs."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from malaria.base.address import answers
from malaria.base.errors import UserError
from malaria.base.machine import usable_cores
from malaria.base.streams import log, stderr_discarded
from malaria.base.text import shorten

MISSING = (
    "--cluster needs Ray, which is not installed here: pip install -r requirements-cluster.txt"
)
AUTO, LOCAL = "auto", "local"
# Nothing is told to the makers of Ray; and of the lines that Ray itself logs none is for our users.
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_LOG_TO_STDERR": "0"}
# Ray tries for minutes to join a cluster that refuses it; so many seconds are enough.
QUIET |= {"RAY_gcs_server_request_timeout_seconds": "20"}


@contextmanager
def connected(address: str, *, cores: int | None = None) -> Iterator[None]:
    """In this block Ray can be used; which cluster it is, is told in a line.

    Args:
        address: "auto": the cluster that RAY_ADDRESS or `ray start` on this machine names, else one
            that is started here; "local": one that is started here; else the HOST:PORT of a cluster
            that this machine belongs to.
        cores: of one that is started here; None: as many as this process may use.

    Raises UserError where Ray is missing, nobody answers, or the versions differ.
    """
    ray = import_ray()
    started = _join(ray, address, cores or usable_cores())
    try:
        log(_describe(ray, started=started))
        yield
    finally:
        ray.shutdown()


def import_ray() -> Any:
    """The module ray, quiet. Raises UserError where it is not installed."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError:
        raise UserError(MISSING) from None
    # Ray prints what befell its nodes on stdout, between our rows; we tell it in lines of our own.
    ray._private.worker.print_to_stdstream = _drop
    return ray


def _drop(*arguments: Any, **more: Any) -> None:
    pass


def _join(ray: Any, address: str, cores: int) -> bool:
    """Join the cluster, or start one; whether it was started."""
    if address == LOCAL:
        return _start(ray, cores)
    named = os.environ.get("RAY_ADDRESS", AUTO) if address == AUTO else address
    if named != AUTO:
        _check_answer(named)
    try:
        _initialize(ray, address=address)
    except ConnectionError as error:
        if named == AUTO:
            return _start(ray, cores)
        raise _refusal(named, error) from None
    except (OSError, RuntimeError, ValueError, ImportError, ray.exceptions.RayError) as error:
        raise _refusal(named, error) from None
    return False


def _start(ray: Any, cores: int) -> bool:
    try:
        _initialize(ray, address=LOCAL, num_cpus=cores, include_dashboard=False)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise UserError(f"--cluster: cannot start Ray here: {shorten(error, 300)}") from None
    return True


def _initialize(ray: Any, **settings: Any) -> None:
    # What C++ has to say of a failure, the exception says too.
    with stderr_discarded():
        ray.init(logging_level=logging.ERROR, log_to_driver=False, **settings)


def _check_answer(address: str) -> None:
    """Raise UserError at once where Ray itself would try for minutes."""
    if not answers(address):
        raise UserError(
            f"--cluster: nobody answers at {address}: expected the HOST:PORT that "
            "`ray start --head` told on the first machine"
        )


def _refusal(address: str, error: Exception) -> UserError:
    # The first sentences say it; what follows in Ray's messages are its own addresses.
    reason = shorten(" ".join(str(error).split()), 300)
    return UserError(
        f"--cluster: cannot join {address}: {reason}; for one that asks for a token set "
        "RAY_AUTH_MODE=token"
    )


def _describe(ray: Any, *, started: bool) -> str:
    nodes = [node for node in ray.nodes() if node["Alive"]]
    cores = sum(int(node["Resources"].get("CPU", 0)) for node in nodes)
    gpus = sum(int(node["Resources"].get("GPU", 0)) for node in nodes)
    parts = [f"{len(nodes)} node{'s' * (len(nodes) != 1)}", f"{cores} core{'s' * (cores != 1)}"]
    parts += [f"{gpus} GPU{'s' * (gpus != 1)}"] * bool(gpus)
    return f"cluster: {', '.join(parts)}" + ", started here" * started
