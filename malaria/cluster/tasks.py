"""tasks: run a generator function on the cluster, many times at once; get what each yields."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from malaria.base.errors import UserError
from malaria.base.streams import log
from malaria.base.text import shorten
from malaria.cluster.connect import import_ray

# Seconds that `news` waits at most, so that its caller notices nodes that join.
POLL = 2.0
# Seconds until a line says that no task has started.
PATIENCE = 15.0
# In a row, after which none will ever start: an image that ends its process at once takes four. Or
# as many as there are tasks, for a node that is lost takes all of its own with it.
FAILED_STARTS = 5


@dataclass(eq=False)
class Work:
    """What a task is for. machine: where it started. losses: of workers since it last yielded."""

    machine: str | None = field(default=None, init=False)
    losses: int = field(default=0, init=False)


class Tasks:
    """Tasks of Ray, which queues them, places them on nodes, new ones too, and reuses processes.

    Ray's own repeating (max_retries, max_restarts of actors) is off: it tells no loss, and runs
    without end what fills a node's memory. ActorPool and multiprocessing.Pool replace no process,
    and Data repeats without end the block of an image that ends its process. (Ray 2.60.0)
    """

    def __init__(self, function: Callable[..., Iterator[Any]], **options: Any) -> None:
        """function: first yields the name of its machine, when it is ready. options: Ray's."""
        self._ray = import_ray()
        self._remote = self._ray.remote(max_retries=0, **options)(function)
        self.running: dict[Any, Any] = {}
        self._failed_starts, self._told_at = 0, time.monotonic() + PATIENCE

    def start(self, work: Work, *arguments: Any, **options: Any) -> None:
        """Call the function with these arguments as soon as a node has room for it."""
        work.machine = None
        self.running[self._remote.options(**options).remote(*arguments)] = work

    def news(self) -> Iterator[tuple[Any, Any]]:
        """Wait for news; yield (work, what its task yielded), or (work, None) if that is lost.

        Raises what a task raises, and UserError where none can start.
        """
        ready, _ = self._ray.wait([*self.running], timeout=POLL)
        if time.monotonic() > self._told_at:
            log("cluster: waiting for a free core")
            self._told_at = float("inf")
        for generator in ready:
            work = self.running[generator]
            try:
                item = self._ray.get(next(generator))
            except StopIteration:
                del self.running[generator]
            except self._ray.exceptions.RayTaskError as error:
                raise _explain(work, error.cause) from None
            except self._ray.exceptions.RayError as error:
                self._count(work, error)
                del self.running[generator]
                yield work, None
            else:
                if work.machine is not None:
                    work.losses = 0
                    yield work, item
                work.machine = work.machine or item
                self._failed_starts, self._told_at = 0, float("inf")

    def _count(self, work: Work, error: Exception) -> None:
        """Count a loss. Raises UserError where none can start."""
        # What an image ends at once may not have told any more that it had started.
        work.losses += 1
        self._failed_starts += work.machine is None
        if self._failed_starts >= max(FAILED_STARTS, len(self.running)):
            raise _explain(work, error)


def _explain(work: Work, error: Exception) -> Exception:
    """What a task raised: as it is, but for one that could not start."""
    if work.machine is not None or isinstance(error, UserError):
        return error
    last = str(error).strip().splitlines()[-1:] or [type(error).__name__]
    return UserError(
        "--cluster: a worker cannot start: expected this program and its requirements on every "
        f"node; {shorten(last[0], 200)}"
    )
