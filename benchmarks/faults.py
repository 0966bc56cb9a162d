#!/usr/bin/env python3
"""What the program does when it is killed, when its disk or its pipes fail it, when others plot.

    python benchmarks/faults.py [--tries 20] [--seed 1] [--only training classification ...]

Draws cells and tries each fault: `training` and `classification` are killed --tries times at random
moments, two writers begin --tries times together, what strangers may plant (hostile.py) is planted
--tries times, the others have as many tries as there are limits, outputs and ways. The promises:
what was killed goes on with --resume to the same result, bit for bit; what cannot be written is one
line and exit status 1, without a traceback; what has its final name is whole; of two writers one
refuses; nothing temporary stays; what is hostile is refused in one line, in time and in little
memory. Prints a table; exits with 1 if a promise was broken, and then tells in which try.
"""

import hashlib
import random
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import hostile
from trying import RUN, TRAIN, Fault, Outcome, finish, make_place, one_line, start

from malaria.cli.command import Parser, add_common, run_script
from malaria.data.drawn_cells import write_cells

# Images in the folder that is classified.
COUNT = 4000
# How large a file may become, bytes.
LIMITS = (0, 1000, 30_000, 300_000, 10_000_000)
# What only a running process may have.
TEMPORARY = (".partial", ".lock", ".saving_")


def main(arguments: list[str]) -> int:
    """Try the faults and print the table; 1 if a promise was broken."""
    parser = Parser(prog="faults.py", description=__doc__.split("\n")[0])
    parser.add_argument("--tries", type=int, default=20, help="kills, and pairs of writers")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--only", nargs="+", choices=FAULTS, default=list(FAULTS), metavar="FAULT")
    add_common(parser)
    options = parser.parse_args(arguments)
    broken: list[str] = []
    with tempfile.TemporaryDirectory() as base:
        write_cells(Path(base, "cells"), 40, seed=5)
        write_cells(Path(base, "many"), COUNT // 2, seed=6)
        print(f"{'fault':15}  tries  kept  seconds")
        for name in options.only:
            broken += _try(name, options.tries, random.Random(options.seed), Path(base))
    print("\n".join(broken))
    return 1 if broken else 0


def _try(name: str, tries: int, dice: random.Random, base: Path) -> list[str]:
    started = time.perf_counter()
    outcomes = list(FAULTS[name](tries, dice, base))
    seconds = time.perf_counter() - started
    print(f"{name:15}  {len(outcomes):5}  {outcomes.count(None):4}  {seconds:7.0f}", flush=True)
    return [f"{name}, try {number}: {one}" for number, one in enumerate(outcomes) if one]


def kill_trainings(tries: int, dice: random.Random, base: Path) -> Iterator[Outcome]:
    """Kill trainings."""
    yield from _kills(TRAIN, "models/*.h5", tries, dice, base)


def kill_classifications(tries: int, dice: random.Random, base: Path) -> Iterator[Outcome]:
    """Kill runs that write a table."""
    yield from _kills([*RUN, "--image=../many", "--output=rows.csv"], "rows.csv", tries, dice, base)


def _kills(
    command: list[str], result: str, tries: int, dice: random.Random, base: Path
) -> Iterator[Outcome]:
    calm = make_place(base)
    started = time.perf_counter()
    finish(start(command, calm))
    seconds = time.perf_counter() - started
    for _ in range(tries):
        place = make_place(base)
        process = start(command, place)
        time.sleep(dice.uniform(0, seconds))
        process.kill()
        process.communicate()
        yield _resume(command, place) or _compare(place, calm, result)


def _resume(command: list[str], place: Path) -> Outcome:
    """Go on; from the beginning where it was killed before anything was kept, or after the end."""
    status, said = finish(start([*command, "--resume"], place))
    if "nothing to resume" in said:
        status, said = finish(start(command, place))
    return f"exit status {status}: {said[-300:]!r}" if status else None


def _compare(place: Path, calm: Path, result: str) -> Outcome:
    one, other = (
        {hashlib.sha256(path.read_bytes()).digest() for path in folder.glob(result)}
        for folder in (place, calm)
    )
    return _temporary(place) or (None if one == other and one else "another result than in peace")


def fill_disk(tries: int, dice: random.Random, base: Path) -> Iterator[Outcome]:
    """Let no file become larger than a limit, for each kind of output."""
    outputs = ["output=a.csv", "output=a.json", "report=a.html", "plot=a.png", "explain=maps"]
    commands = [[*RUN, "--image=../cells", f"--{output}"] for output in (*outputs, "save=a.h5")]
    commands += [[*RUN, "--image=../cells", "--evaluate"], TRAIN, [*TRAIN, "--folds=2"]]
    for command in commands:
        for limit in LIMITS:
            place = make_place(base)
            limits = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (limit, limit))
            status, said = finish(start(command, place, preexec_fn=limits))
            broken = (status and one_line(status, said)) or _temporary(place) or _half(place)
            yield broken and f"{command[-1]}, {limit} bytes: {broken}"


def forbid_writing(tries: int, dice: random.Random, base: Path) -> Iterator[Outcome]:
    """Name a folder that is a file, into which not even root can write."""
    place = make_place(base)
    (place / "file").write_text("mine")
    outputs = ["output=file/a.csv", "report=file/a.html", "plot=file/a.png", "save=file/a.h5"]
    commands = [[*RUN, "--image=../cells", f"--{o}"] for o in (*outputs, "explain=file/maps")]
    commands += [[*RUN, "--image=../cells", "--evaluate", "--metrics=file/a.json"]]
    commands += [[*TRAIN, "--set", "output_models=file/models"]]
    for command in commands:
        broken = one_line(*finish(start(command, place)))
        yield broken and f"{command[-1]}: {broken}"
    yield None if (place / "file").read_text() == "mine" else "the file was replaced"


def close_pipes(tries: int, dice: random.Random, base: Path) -> Iterator[Outcome]:
    """Close, fill or leave the streams; a model is saved all the same, a table can be resumed."""
    for end in (">&-", ">/dev/full", "2>&-", ">&- 2>&-", "| head -n 1"):
        place = make_place(base)
        command = [*RUN, "--image=../cells", "--output=rows.csv"]
        yield _in_shell(command, end, place) or _resume(command, place) or _count_rows(place, 80)
        saved = _in_shell(TRAIN, end, place)
        yield saved or (None if list(place.glob("models/*.h5")) else f"train.py {end}: no model")


def _in_shell(command: list[str], end: str, place: Path) -> Outcome:
    line = f'"$0" "$@" {end}; exit ${{PIPESTATUS[0]}}'
    status, said = finish(start(["bash", "-c", line, *command], place))
    known = status in (0, 1, 128 + signal.SIGPIPE)
    if known and "Traceback" not in said and "Exception ignored" not in said:
        return None
    return f"{command[1]} {end}: exit status {status}: {said[-300:]!r}"


def write_twice(tries: int, dice: random.Random, base: Path) -> Iterator[Outcome]:
    """Begin two equal commands a moment apart, every fourth time trainings."""
    for number in range(tries):
        place = make_place(base)
        command = TRAIN if number % 4 == 0 else [*RUN, "--image=../many", "--output=rows.csv"]
        first = start(command, place)
        time.sleep(dice.uniform(0, 0.5))
        second = start(command, place)
        ends = [finish(process) for process in (first, second)]
        refused = [end for end in ends if end[0]]
        broken = [one for end in refused if (one := one_line(*end))]
        if len(refused) == 2 or broken or _temporary(place):
            yield f"{broken or ends} {_temporary(place)}"
        else:
            yield _count_training(place, refused) if command is TRAIN else _count_rows(place)


def _count_training(place: Path, refused: list[Any]) -> Outcome:
    models = len(list(place.glob("models/*.h5")))
    return None if models == 2 - len(refused) else f"{models} models, {len(refused)} refused"


def _count_rows(place: Path, count: int = COUNT) -> Outcome:
    rows = (place / "rows.csv").read_text().count("\n") - 1
    return None if rows == count else f"{rows} rows of {count}"


def _temporary(place: Path) -> Outcome:
    """The temporary files that are left."""
    names = [
        path.name for path in place.rglob(".*") if any(mark in path.name for mark in TEMPORARY)
    ]
    return f"left: {', '.join(names)}" if names else None


def _half(place: Path) -> Outcome:
    """The models that lack a file."""
    found = [path for path in place.rglob("*.h5") if not path.with_suffix(".json").exists()]
    return f"half a model: {found}" if found else None


FAULTS: dict[str, Fault] = {
    "training": kill_trainings,
    "classification": kill_classifications,
    "full_disk": fill_disk,
    "read_only": forbid_writing,
    "closed_pipes": close_pipes,
    "two_writers": write_twice,
    **hostile.FAULTS,
}

if __name__ == "__main__":
    sys.exit(run_script(main, sys.argv[1:]))
