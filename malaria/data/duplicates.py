"""duplicates: the same image twice, found by the content of the file."""

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

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
    # What is no file, or cannot be read, is among the unreadable ones later.
    sizes = [os.path.getsize(s.path) if os.path.isfile(s.path) else None for s in samples]
    counts = Counter(sizes)

    def with_content(sample: Sample, size: int | None) -> Sample:
        if size is not None and counts[size] > 1:
            with suppress(UserError):
                return replace(sample, content=sha256_of(sample.path))
        return sample

    with ThreadPoolExecutor(usable_cores()) as threads:
        return list(threads.map(with_content, samples, sizes))


def find_contradictions(samples: Sequence[Sample]) -> list[Sample]:
    """The samples whose content is there under another label too, copies side by side.

    Files that are no images do not count: empty ones, of a copy that broke off, are all alike.
    """
    copies: dict[str, list[Sample]] = {}
    for sample in samples:
        if sample.content is not None:
            copies.setdefault(sample.content, []).append(sample)
    contradicted = [some for some in copies.values() if len({one.label for one in some}) > 1]
    return [one for some in contradicted for one in some if is_readable(one.path)]


def check_contradictions(samples: Sequence[Sample], label_names: Sequence[str]) -> None:
    """Raise ContradictionError, which names some, if images lie under two labels."""
    found = find_contradictions(samples)
    if not found:
        return
    named = [f"{label_names[sample.label]}: {sample.path}" for sample in found[:NAMED]]
    lines = map(printable, named + ["..."] * (len(found) > NAMED))
    raise ContradictionError(
        f"{len(found)} files hold images that lie under two labels: remove the wrong ones, or "
        "set contradictions: exclude" + "".join(f"\n  {line}" for line in lines)
    )


def count_copies(samples: Sequence[Sample]) -> int:
    """The number of files that are copies of an earlier one."""
    contents = [sample.content for sample in samples if sample.content is not None]
    return len(contents) - len(set(contents))
