"""trying: commands that are started where something is wrong, and how they ended; for faults.py."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

TOP = Path(__file__).resolve().parent.parent
RUN, TRAIN = ([sys.executable, str(TOP / f"{name}.py")] for name in ("run", "train"))
SETTINGS = """
train_images: ../cells
image_size: [32, 32]
model: compact
epochs: 4
batch_size: 16
deterministic: true
plot_training_data: false
"""
# What takes longer hangs.
SECONDS = 300
# What was broken in a try, or None.
Outcome = str | None
# Tries something so many times, with dice, beside the folders of cells.
Fault = Callable[[int, Random, Path], Iterator[Outcome]]


def make_place(base: Path) -> Path:
    """A new folder beside the cells, with settings."""
    place = Path(tempfile.mkdtemp(dir=base))
    (place / "config.yaml").write_text(SETTINGS)
    return place


def start(command: list[str], place: Path, **more: Any) -> subprocess.Popen[str]:
    """A command that runs in a place; `finish` waits for it."""
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=place, text=True, stdout=pipe, stderr=pipe, **more)


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """(exit status, what it said on stderr); status -1 if it hangs."""
    try:
        said = process.communicate(timeout=SECONDS)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        return -1, process.communicate()[1] + f"no end within {SECONDS} seconds"
    return process.returncode, said


def one_line(status: int, said: str, expected: tuple[int, ...] = (1,)) -> Outcome:
    """Broken unless it ended with an expected status and one line that begins with error."""
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    # Of an overlay that cannot be written only the image that it is of is told.
    is_told = len(errors) == 1 or "no overlay of " in said
    is_kept = status in expected and is_told and "Traceback" not in said
    return None if is_kept else f"exit status {status}: {said[-300:]!r}"
