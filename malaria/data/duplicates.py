"""duplicates: the same image twice, found by the content of the file."""

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

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


def with_contents(samples: Sequence[Sample]) -> list[Sample]:
    """The samples with their content, a SHA-256, if another file has the same size."""
    sizes = [_size(sample.path) for sample in samples]
    counts = Counter(sizes)

    def with_content(sample: Sample, size: int | None) -> Sample:
        if size is None or counts[size] == 1:
            return sample
        try:
            return replace(sample, content=sha256_of(sample.path))
        except UserError:
            return sample  # it is among the unreadable ones later

    with ThreadPoolExecutor(usable_cores()) as threads:
        return list(threads.map(with_content, samples, sizes))


def _size(path: Path) -> int | None:
    try:
        return os.stat(path).st_size
    except OSError:
        return None


def find_contradictions(samples: Sequence[Sample]) -> list[Sample]:
    """The samples whose content is there under another label too, copies side by side.

    Files that are no images do not count: empty ones, of a copy that broke off, are all alike.
    """
    copies: dict[str, list[Sample]] = {}
    for sample in samples:
        if sample.content is not None:
            copies.setdefault(sample.content, []).append(sample)
    return [
        sample
        for some in copies.values()
        if len({sample.label for sample in some}) > 1
        for sample in some
        if is_readable(sample.path)
    ]


def check_contradictions(samples: Sequence[Sample], label_names: Sequence[str]) -> None:
    """Raise ContradictionError, which names some, if images lie under two labels."""
    found = find_contradictions(samples)
    if not found:
        return
    lines = [
        f"  {printable(label_names[sample.label])}: {printable(sample.path)}"
        for sample in found[:NAMED]
    ]
    raise ContradictionError(
        f"{len(found)} files hold images that lie under two labels: remove the wrong ones, or "
        "set contradictions: exclude\n" + "\n".join(lines + ["  ..."] * (len(found) > NAMED))
    )


def count_copies(samples: Sequence[Sample]) -> int:
    """The number of files that are copies of an earlier one."""
    contents = [sample.content for sample in samples if sample.content is not None]
    return len(contents) - len(set(contents))
