"""crew: the workers on the cluster, one for each core; lost ones are replaced where that can be."""

import time
from collections import Counter, deque
from typing import Any

from malaria import __version__
from malaria.base.errors import UserError
from malaria.base.streams import log
from malaria.base.text import printable, shorten
from malaria.cluster.connect import import_ray
from malaria.cluster.work import Chunk, Work
from malaria.cluster.worker import Baggage, Worker

# Chunks that a worker has at a time: one to work on, one so that it need not wait for the next.
AT_ONCE = 2
# How often, in seconds, nodes that joined or left are looked for.
LOOK = 2.0
# How long, in seconds, to do nothing while there are no workers at all.
PAUSE = 0.1
# Where workers were started so many times and ended before any was ready, none ever will be.
FAILED_STARTS = 3
# After so many seconds without any worker that is told.
IDLE = 15.0


class Member:
    """A worker as it is seen from here.

    started: when. machine: its name, None until the worker is ready. waiting: its chunks, and Ray's
    references to what it will say of them, in order.
    """

    def __init__(self, handle: Any, baggage: Any, started: float) -> None:
        self.handle, self.started = handle, started
        self.loading = handle.load.remote(baggage)
        self.machine: str | None = None
        self.waiting: deque[tuple[Chunk, Any]] = deque()

    def give(self, chunk: Chunk, *, fields: bool) -> None:
        """Let it work on a chunk, after those that it has."""
        self.waiting.append((chunk, self.handle.predict.remote(chunk.paths, fields=fields)))

    @property
    def has_suspect(self) -> bool:
        """Whether it works on what may have ended another worker."""
        return any(chunk.is_suspect for chunk, _ in self.waiting)

    @property
    def expected(self) -> Any:
        """The reference to what it will say next, or None."""
        if self.machine is None:
            return self.loading
        return self.waiting[0][1] if self.waiting else None


class Crew:
    """All workers of a run."""

    def __init__(self, baggage: Baggage, work: Work, *, fields: bool) -> None:
        """fields: whether pictures are whole fields."""
        self.ray, self.work, self.fields = import_ray(), work, fields
        self.actor = self.ray.remote(num_cpus=1)(Worker)
        # Once into the store of each node, from where its workers read it.
        self.baggage = self.ray.put(baggage)
        self.members: list[Member] = []
        self._looked, self._failed = -LOOK, set[float]()
        self._idle_since: float | None = time.monotonic()
        self._lost: Counter[str] = Counter()

    def hire(self) -> None:
        """Start workers on cores that have none; at least one, which waits for a node to join."""
        if time.monotonic() - self._looked < LOOK:
            return
        self._looked = time.monotonic()
        self.tell_losses()
        cores = int(self.ray.cluster_resources().get("CPU", 0))
        while len(self.members) < max(1, cores):
            self.members.append(Member(self.actor.remote(), self.baggage, self._looked))

    def give_out(self) -> None:
        """Give each worker that has room a chunk, the idle ones first."""
        ready = [member for member in self.members if member.machine is not None]
        for count in range(AT_ONCE):
            for member in ready:
                has_room = len(member.waiting) == count and not member.has_suspect
                if has_room and (chunk := self.work.take(len(ready), is_idle=count == 0)):
                    member.give(chunk, fields=self.fields)

    def listen(self) -> None:
        """Wait for the next answers, LOOK seconds at most, and bring them back."""
        expected = {member.expected: member for member in self.members if member.expected}
        self._tell_idle()
        if not expected:
            time.sleep(PAUSE)
            return
        answered, _ = self.ray.wait([*expected], timeout=LOOK)
        for reference in answered:
            member = expected[reference]
            try:
                answer = self.ray.get(reference)
            except self.ray.exceptions.RayTaskError as error:
                raise _explain(member, error.cause) from None
            except self.ray.exceptions.RayError as error:
                self._lose(member, error)
                continue
            if member.machine is None:
                self._welcome(member, *answer)
            else:
                self.work.finish(member.waiting.popleft()[0], answer)

    def _tell_idle(self) -> None:
        """Say once that nothing can begin, where the cores are others' or still to come."""
        if self._idle_since is not None and time.monotonic() - self._idle_since > IDLE:
            log("cluster: waiting for a free core")
            self._idle_since = None

    def _welcome(self, member: Member, machine: str, version: str) -> None:
        if version != __version__:
            raise UserError(
                f"--cluster: expected malaria {__version__} on every node; received "
                f"{printable(version)} on {printable(machine)}"
            )
        member.machine, self._idle_since = machine, None
        self._failed.clear()

    def _lose(self, member: Member, error: Exception) -> None:
        """Take back what a lost worker had. Raises UserError if no worker can be started."""
        self.ray.kill(member.handle)
        self.members.remove(member)
        if member.machine is None:
            self._failed.add(member.started)
            if len(self._failed) == FAILED_STARTS:
                raise _explain(member, error)
            return
        self._lost[member.machine] += 1
        for chunk, _ in member.waiting:
            self.work.give_back(chunk)

    def tell_losses(self) -> None:
        """One line for each machine that lost workers since the last time."""
        for machine, count in self._lost.items():
            workers = "a worker" if count == 1 else f"{count} workers"
            log(f"cluster: lost {workers} on {printable(machine)}; its work is done again")
        self._lost.clear()


def _explain(member: Member, error: Exception) -> Exception:
    """What a worker died of: as it is, but for one that could not start."""
    if member.machine is not None or isinstance(error, UserError):
        return error
    last = str(error).strip().splitlines()[-1:] or [type(error).__name__]
    return UserError(
        "--cluster: a worker cannot start: expected this program and its requirements on every "
        f"node; {shorten(last[0], 200)}"
    )
