"""duplicates: the same image twice, found by the content of the file."""

import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from malaria.base.errors import UserError
from malaria.base.files import sha256_of
from malaria.base.machine import usable_cores
from malaria.base.text import printable
from malaria.data.dataset import Sample
from malaria.pictures.images import is_readable

# This many contradictions are named; the rest are counted.
NAMED = 10


class ContradictionError(UserError):
    """The same image lies under two labels."""


def number_contents(paths: Sequence[Path]) -> np.ndarray:
    """A number for the content of each file, (n,), integers: equal where the bytes are.

    Only files of one size are read. A file that cannot be read is like no other.
    """
    sizes = [_size(path) for path in paths]
    counts = Counter(sizes)
    is_alone = [size is None or counts[size] == 1 for size in sizes]
    with ThreadPoolExecutor(usable_cores()) as threads:
        keys = list(threads.map(_key, range(len(paths)), paths, is_alone))
    numbers: dict[int | str, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)


def find_contradictions(samples: Sequence[Sample], contents: np.ndarray) -> np.ndarray:
    """The indices of samples whose content is there under another label too, rising.

    Files that are no images do not count: empty ones, of a copy that broke off, are all alike.
    """
    labels: dict[int, set[int]] = defaultdict(set)
    for sample, content in zip(samples, contents.tolist(), strict=True):
        labels[content].add(sample.label)
    found = [n for n, content in enumerate(contents.tolist()) if len(labels[content]) > 1]
    return np.array([n for n in found if is_readable(samples[n].path)], np.int64)


def check_contradictions(
    samples: Sequence[Sample], contents: np.ndarray, label_names: Sequence[str]
) -> None:
    """Raise ContradictionError, which names some, if images lie under two labels."""
    found = find_contradictions(samples, contents).tolist()
    if not found:
        return
    # Copies stand side by side, in the order of the first of each.
    found.sort(key=lambda index: contents[index])
    lines = [
        f"  {printable(label_names[samples[index].label])}: {printable(samples[index].path)}"
        for index in found[:NAMED]
    ]
    raise ContradictionError(
        f"{len(found)} files hold images that lie under two labels: remove the wrong ones, or "
        "set contradictions: exclude\n" + "\n".join(lines + ["  ..."] * (len(found) > NAMED))
    )


def count_copies(contents: np.ndarray) -> int:
    """The number of files that are copies of an earlier one."""
    return len(contents) - len(np.unique(contents))


def _size(path: Path) -> int | None:
    try:
        return os.stat(path).st_size
    except OSError:
        return None


def _key(index: int, path: Path, is_alone: bool) -> int | str:
    """Equal for files of equal bytes; a file that is alone is not read."""
    if is_alone:
        return index
    try:
        return sha256_of(path)
    except UserError:
        return index
