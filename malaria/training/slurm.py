"""slurm: the tasks of a step of Slurm, as its variables tell them."""

import os
import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice, product, repeat

from malaria.base.errors import UsageError
from malaria.base.gpu import list_cards
from malaria.base.text import quote

# Where the first task of a node listens; the others on the ports after it.
PORT = 8888
# A step of more tasks is a mistake.
MOST_TASKS = 10_000
COUNT, RANGES = r"\d{1,6}", r"\d{1,9}(?:-\d{1,9})?(?:,\d{1,9}(?:-\d{1,9})?)*"
HOST = rf"(?:[A-Za-z0-9_.-]|\[{RANGES}\])+"
# {variable: (its form, an example)}.
FORMS = {
    "SLURM_STEP_NUM_TASKS": (COUNT, "4"),
    "SLURM_PROCID": (COUNT, "0"),
    "SLURM_STEP_NODELIST": (rf"{HOST}(?:,{HOST})*", "n[1-2]"),
    "SLURM_STEP_TASKS_PER_NODE": (rf"{COUNT}(\(x{COUNT}\))?(?:,{COUNT}(\(x{COUNT}\))?)*", "2(x2)"),
}


def is_step() -> bool:
    """Whether this process is one of several tasks. Raises UsageError."""
    # Only srun sets it: a script of sbatch that starts one process trains alone.
    name = "SLURM_STEP_NUM_TASKS"
    return bool(os.environ.get(name)) and int(_read(name)) > 1


def find_tasks() -> tuple[list[str], int]:
    """(HOST:PORT of each task, which of them this process is). Raises UsageError.

    Tasks of one node share its GPUs: CUDA_VISIBLE_DEVICES is set to those of this one.
    """
    count, index, nodes, counts = map(_read, FORMS)
    tasks = list(islice(_expand_counts(counts), MOST_TASKS))
    hosts = list(islice(_expand_hosts(nodes), MOST_TASKS))
    places = ((host, n) for host, most in zip(hosts, tasks, strict=False) for n in range(most))
    known = list(islice(places, MOST_TASKS + 1))
    if len(hosts) != len(tasks) or len(known) != int(count) or int(index) >= len(known):
        raise UsageError(
            f"Slurm: expected {count} tasks, at most {MOST_TASKS:,}, of which SLURM_PROCID is one; "
            f"received {quote(counts)} on {quote(nodes)} and {index}"
        )
    _share_gpus(known[int(index)][1], max(tasks))
    return [f"{host}:{PORT + n}" for host, n in known], int(index)


def _read(name: str) -> str:
    value, (form, example) = os.environ.get(name, ""), FORMS[name]
    if not re.fullmatch(form, value, re.ASCII):
        raise UsageError(f"{name}: expected a value like {example}; received {quote(value)}")
    return value


def _expand_hosts(nodes: str) -> Iterator[str]:
    """n[1-2],m05 -> n1, n2, m05: in the order in which Slurm numbers the tasks."""
    for node in re.findall(HOST, nodes):
        # Plain text and ranges in turns.
        parts = [
            islice(_expand_ranges(part), MOST_TASKS) if place % 2 else [part]
            for place, part in enumerate(re.split(r"\[(.*?)\]", node))
        ]
        yield from map("".join, product(*parts))


def _expand_ranges(ranges: str) -> Iterator[str]:
    """1-2,07 -> 1, 2, 07."""
    for one in ranges.split(","):
        first, _, last = one.partition("-")
        yield from (f"{n:0{len(first)}}" for n in range(int(first), int(last or first) + 1))


def _expand_counts(counts: str) -> Iterator[int]:
    """2(x3),1 -> 2, 2, 2, 1."""
    pairs: Iterable[tuple[str, str]] = re.findall(r"(\d+)(?:\(x(\d+)\))?", counts)
    return chain.from_iterable(repeat(int(tasks), int(times or 1)) for tasks, times in pairs)


def _share_gpus(task: int, tasks: int) -> None:
    """Let this task of its node see its share of the GPUs, if there is one for each."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    known = (
        visible.split(",") if visible is not None else [str(n) for n in range(len(list_cards()))]
    )
    if share := len(known) // tasks:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(known[task * share : (task + 1) * share])
