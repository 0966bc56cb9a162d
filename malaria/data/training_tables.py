"""training_tables: a table with the columns path and label -> samples; who lacks what in it."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from malaria.base.errors import UserError
from malaria.base.patterns import Pattern
from malaria.base.text import printable, quote
from malaria.data.dataset import Sample
from malaria.data.listing import Listing
from malaria.pictures.cell_in_field import ImagePath, or_field
from malaria.pictures.passed_over import PassedOver, did_you_mean
from malaria.pictures.same_file import file_number

# This many other labels are named.
NAMED = 10


def scan_table(
    table: Path | str,
    labels: Sequence[str],
    patient_pattern: str,
    passed_over: PassedOver | None = None,
) -> list[Sample]:
    """Every row with one of the labels, as Samples in the order of labels, then of paths.

    The patient is the one of the row, else the first group (or the whole match) of
    `patient_pattern` in the file's name; of a cell in a field without any it is the field, lest
    this comes on both sides of a split. A file that is named twice is one sample of each label
    that it has. passed_over: counts what is not taken. Raises UserError for a file of two patients,
    and for what is no table.
    """
    pattern, passed_over = Pattern(patient_pattern), passed_over or PassedOver()
    samples: dict[tuple[int, str], Sample] = {}
    for path, label, patient in _read(table, passed_over):
        if label is None or label not in labels:
            passed_over.unlabelled[label or ""] += 1
            continue
        group = or_field(patient or pattern.find(path.name), path)
        one = Sample(path, labels.index(label), group)
        earlier = samples.setdefault((file_number(path), label), one)
        passed_over.again += earlier is not one
        if earlier.patient != one.patient:
            patients = f"{quote(earlier.patient)} and {quote(one.patient)}"
            raise UserError(
                f"{printable(table)}: {printable(path)} is listed under two patients, {patients}"
            )
    return sorted(samples.values(), key=lambda one: (one.label, one.path))


def _read(
    table: Path | str, passed_over: PassedOver
) -> Iterator[tuple[ImagePath, str | None, str | None]]:
    """Path, label and patient of each row. Raises UserError."""
    listing = Listing(Path(table), is_a_table=True)
    listing.expect("label")
    for entry in listing.read(passed_over):
        if not isinstance(entry.path, ImagePath):
            raise UserError(
                f"{printable(table)}: expected files of this machine; received {quote(entry.path)}"
            )
        yield entry.path, entry.label, entry.patient


@dataclass
class Found:
    """What a table has: of each label in it the rows whose file is there, and one that is not.

    others: rows of labels that are none of those asked for.
    """

    counts: Counter[str] = field(default_factory=Counter)
    gone: dict[str, ImagePath] = field(default_factory=dict)
    others: Counter[str] = field(default_factory=Counter)


def look_into(table: str, labels: Sequence[str], most: int) -> Found:
    """What the table has, until each of the labels has `most` files. Raises UserError."""
    found = Found()
    for path, label, _ in _read(table, PassedOver()):
        if label is None or label not in labels:
            found.others[label or "none"] += 1
        elif os.path.exists(path):
            found.counts[label] += 1
            if all(found.counts[one] >= most for one in labels):
                break
        else:
            found.counts[label] += 0
            found.gone.setdefault(label, path)
    return found


def describe_missing(table: str, missing: Sequence[str], found: Found) -> str:
    """A line about labels that no row of the table has."""
    known: Mapping[str, int] = found.counts + found.others
    others = ", ".join(f"{quote(name)} ({known[name]} rows)" for name in [*known][:NAMED])
    near = next(filter(None, (did_you_mean(name, missing) for name in found.others)), "")
    return f"no row of {', '.join(missing)} in {table}; the labels there: {others or 'none'}{near}"


def describe_gone(table: str, label: str, found: Found) -> str:
    """A line about a label of whose files none is there."""
    return f"no file of {label} that {table} names is there, such as {found.gone[label]}"
