"""folds: the parts of a cross-validation side by side on a cluster, each in its own process."""

import io
import os
import queue
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from malaria.base.errors import UserError
from malaria.base.streams import log
from malaria.cluster.connect import import_ray
from malaria.data.splits import Folds

if TYPE_CHECKING:
    from malaria.settings.config import Config

# How long, in seconds, a fold that has nothing to tell keeps who asks it waiting.
PATIENCE = 1.0
# So often in a row may a fold be lost before anything was told of it.
LOSSES = 3


class Fold:
    """An actor of Ray's: trains and judges one part, and meanwhile tells what it logs."""

    def __init__(self, cores: int | None, folder: Path) -> None:
        """cores: for TensorFlow, which is not imported yet; None: all, so that sums are formed as
        they are in a process that is alone. folder: where train.py was started.
        """
        if cores is not None:
            os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = str(cores)
        with suppress(OSError):
            os.chdir(folder)
        self.told = _Lines()

    def run(self, config: "Config", folds: Folds, folder: Path, number: int) -> None:
        """Do the part of this number. Raises UserError."""
        if not folder.is_dir():
            raise UserError(
                f"no folder {folder} on {socket.gethostname()}: expected output_models and "
                "train_images to be folders that every node sees"
            )
        sys.stderr = self.told
        from malaria.training.cross_validation import run_part

        run_part(config, folds, folder, number)

    def lines(self, patience: float) -> list[str]:
        """What was logged since the last time; if nothing was, wait so many seconds for it."""
        lines = []
        with suppress(queue.Empty):
            lines.append(self.told.lines.get(timeout=patience))
            while True:
                lines.append(self.told.lines.get_nowait())
        return lines


class _Lines(io.TextIOBase):
    """A stderr whose whole lines are kept until they are asked for."""

    def __init__(self) -> None:
        self.lines: queue.Queue[str] = queue.Queue()
        self._begun = ""

    def write(self, text: str) -> int:
        *whole, self._begun = (self._begun + text).split("\n")
        for line in whole:
            self.lines.put(line)
        return len(text)


class _Running:
    """A fold as it is seen from here. end, lines: Ray's references to its end, its next lines."""

    def __init__(self, handle: Any, name: str, number: int, losses: int) -> None:
        self.handle, self.name, self.number, self.losses = handle, name, number, losses
        self.end: Any = None
        self.listen()

    def listen(self) -> None:
        """Ask for the next lines."""
        self.lines = self.handle.lines.remote(PATIENCE)

    def tell(self, lines: Sequence[str]) -> None:
        """Log them as this fold's."""
        for line in lines:
            log(f"{self.name}: {line}")
            self.losses = 0


class _Course:
    """All folds of one cross-validation."""

    def __init__(self, config: "Config", folds: Folds, folder: Path, names: Sequence[str]) -> None:
        self.ray, self.running = import_ray(), list[_Running]()
        self.settings, self.count = (config, folds, folder), len(names)
        for number, name in enumerate(names, start=1):
            self._start(f"fold {number}" + f" without {name}" * (folds == "source"), number)

    def _start(self, name: str, number: int, losses: int = 0) -> None:
        shares = share(self.ray.nodes(), self.count)
        actor = self.ray.remote(max_concurrency=2, **shares)(Fold)
        cores = None if self.settings[0].deterministic else shares["num_cpus"]
        one = _Running(actor.remote(cores, Path.cwd()), name, number, losses)
        one.end = one.handle.run.remote(*self.settings, number)
        self.running.append(one)

    def follow(self) -> None:
        """Wait for the next that any fold has to say, and act on it."""
        expected = {ref: one for one in self.running for ref in (one.end, one.lines)}
        [reference], _ = self.ray.wait([*expected])
        one = expected[reference]
        try:
            if reference == one.lines:
                one.tell(self.ray.get(reference))
                one.listen()
            else:
                self._finish(one)
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except self.ray.exceptions.RayError:
            self._lose(one)

    def _finish(self, one: _Running) -> None:
        one.tell(self.ray.get(one.lines))
        one.tell(self.ray.get(one.handle.lines.remote(0)))
        self.ray.get(one.end)
        self._end(one)

    def _end(self, one: _Running) -> None:
        """Give its cores to the folds that wait for some."""
        self.ray.kill(one.handle)
        self.running.remove(one)

    def _lose(self, one: _Running) -> None:
        self._end(one)
        if one.losses + 1 == LOSSES:
            raise UserError(
                f"{one.name}: its process ended {LOSSES} times before it told anything: expected "
                "this program, its requirements and memory enough on every node"
            )
        log(f"{one.name}: its process or node is lost; it goes on elsewhere with its last epoch")
        self._start(one.name, one.number, one.losses + 1)


def run_on_cluster(config: "Config", folds: Folds, folder: Path, names: Sequence[str]) -> None:
    """Run the parts of these names side by side, each as `cross_validation.run_part` does.

    Ray is connected. A part has a GPU of its own where the cluster has any, else its share of the
    cores; where there are fewer than parts, the others wait. One whose node is lost goes on
    elsewhere after its last whole epoch. Raises UserError.
    """
    course = _Course(config, folds, folder, names)
    try:
        while course.running:
            course.follow()
    except KeyboardInterrupt:
        log("the whole epochs of every fold are kept; go on with --resume")
        raise


def share(nodes: Sequence[Mapping[str, Any]], folds: int) -> dict[str, int]:
    """What each fold has of a cluster, as Ray takes it: {"num_cpus": N, "num_gpus": N}.

    As many cores as let the most folds run at once; a GPU each where there are any. nodes: as
    ray.nodes() describes them.
    """
    known = [node["Resources"] for node in nodes if node["Alive"]]
    places = [(int(one.get("CPU", 0)), int(one.get("GPU", 0))) for one in known]
    gpus = sum(gpu for _, gpu in places)

    def at_once(cores: int) -> int:
        return sum(min(cpu // cores, gpu) if gpus else cpu // cores for cpu, gpu in places)

    most = max(1, *(cpu for cpu, _ in places))
    cores = max(range(1, most + 1), key=lambda count: (min(folds, at_once(count)), count))
    return {"num_cpus": cores, "num_gpus": min(1, gpus)}
