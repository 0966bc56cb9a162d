"""folds: the parts of a cross-validation side by side on a cluster, each in its own process."""

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from malaria.base.errors import UserError
from malaria.base.streams import log
from malaria.cluster.connect import import_ray
from malaria.cluster.tasks import Tasks, Work
from malaria.data.splits import Folds
from malaria.settings.config import Config

# Of a fold, without a line in between.
LOSSES = 3


@dataclass(eq=False)
class Fold(Work):
    """One part of a cross-validation, the first of number 1."""

    name: str
    number: int


def run_on_cluster(config: Config, folds: Folds, folder: Path, names: Sequence[str]) -> None:
    """Run the parts of these names side by side, each as `cross_validation.run_part` does.

    Ray is connected. A part has a GPU of its own where the cluster has any, else its share of the
    cores; where there are fewer than parts, the others wait. One whose node is lost goes on
    elsewhere after its last whole epoch. Raises UserError.
    """
    # max_calls: each in a new process, for TensorFlow takes its threads when it is imported.
    tasks = Tasks(run_fold, max_calls=1)

    def start(fold: Fold) -> None:
        shares = share(import_ray().nodes(), len(names))
        cores = None if config.deterministic else shares["num_cpus"]
        tasks.start(fold, cores, Path.cwd(), config, folds, folder, fold.number, **shares)

    for number, name in enumerate(names, start=1):
        start(Fold(f"fold {number}" + f" without {name}" * (folds == "source"), number))
    try:
        while tasks.running:
            for fold, line in tasks.news():
                if line is not None:
                    log(f"{fold.name}: {line}")
                    continue
                if fold.losses == LOSSES:
                    raise UserError(
                        f"{fold.name}: its process ended {LOSSES} times before it told anything: "
                        "expected this program, its requirements and memory enough on every node"
                    )
                log(f"{fold.name}: its process or node is lost; it goes on elsewhere")
                start(fold)
    except KeyboardInterrupt:
        log("the whole epochs of every fold are kept; go on with --resume")
        raise


def run_fold(
    cores: int | None, start: Path, config: Config, folds: Folds, folder: Path, number: int
) -> Iterator[str]:
    """Yield the name of this machine, then each line that the part of this number logs.

    cores: for TensorFlow; None: all, so that sums are formed as in a process that is alone. start:
    the folder to work in. Raises UserError.
    """
    yield socket.gethostname()
    if cores is not None:
        os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = str(cores)
    with suppress(OSError):
        os.chdir(start)
    if not folder.is_dir():
        raise UserError(
            f"no folder {folder} on {socket.gethostname()}: expected output_models and "
            "train_images to be folders that every node sees"
        )
    from malaria.training.cross_validation import run_part

    reading, writing = os.pipe()
    with (
        open(reading, newline="\n") as lines,
        open(writing, "w", buffering=1) as logged,
        redirect_stderr(logged),
        ThreadPoolExecutor(1) as pool,
    ):
        end = pool.submit(run_part, config, folds, folder, number)
        end.add_done_callback(lambda _: logged.close())
        yield from (line.rstrip("\n") for line in lines)
    end.result()


def share(nodes: Sequence[Mapping[str, Any]], folds: int) -> dict[str, int]:
    """The cores with which most folds run at once, and a GPU where there are any, for each fold.

    nodes: as ray.nodes() describes them. Returns {"num_cpus": N, "num_gpus": N}.
    """
    known = [node["Resources"] for node in nodes if node["Alive"]]
    places = [(int(one.get("CPU", 0)), int(one.get("GPU", 0))) for one in known]
    gpus = sum(gpu for _, gpu in places)

    def at_once(cores: int) -> int:
        return sum(min(cpu // cores, gpu) if gpus else cpu // cores for cpu, gpu in places)

    most = max(1, *(cpu for cpu, _ in places))
    cores = max(range(1, most + 1), key=lambda count: (min(folds, at_once(count)), count))
    return {"num_cpus": cores, "num_gpus": min(1, gpus)}
