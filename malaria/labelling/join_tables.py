"""join_tables: the labels of two people in one table, and how far they agree."""

from pathlib import Path

from malaria.base.errors import UserError
from malaria.base.text import printable, quote
from malaria.labelling.label_table import SKIPPED, LabelRow, read_labels, write_labels


def join_tables(first: Path, second: Path, output: Path) -> str:
    """Write both tables as one; returns lines about their agreement, for people.

    A cell that both call differently has no label. Raises UserError, also where `output` is there.
    """
    if output.exists():
        raise UserError(
            f"{printable(output)} exists already: move it away or name another --output"
        )
    one, other = read_labels(first), read_labels(second)
    joined = {key: _join(row, other[key]) if key in other else row for key, row in one.items()}
    joined = {**other, **joined}
    both = [(one[key].label, other[key].label) for key in one if key in other]
    labelled = [pair for pair in both if SKIPPED not in pair]
    write_labels(output, joined.values())
    return f"{len(joined):,} cells in {printable(output)}\n{describe_agreement(labelled)}"


def _join(one: LabelRow, other: LabelRow) -> LabelRow:
    """The row of a cell that is in both tables. As it was chosen in the first one."""
    who = one.who if one.who == other.who else f"{one.who} and {other.who}"
    if SKIPPED in (one.label, other.label):
        known = one if other.label == SKIPPED else other
        return one._replace(label=known.label, who=known.who, when=known.when)
    label = one.label if one.label == other.label else SKIPPED
    return one._replace(label=label, who=who, when=max(one.when, other.when))


def describe_agreement(pairs: list[tuple[str, str]]) -> str:
    """Cohen's kappa of the labels that two people gave to the same cells, and how many differ."""
    if not pairs:
        return "no cell has a label of both: nothing to compare"
    differ = [pair for pair in pairs if pair[0] != pair[1]]
    told = f"{len(pairs):,} cells were labelled by both, and {len(differ):,} of them differently"
    if differ:
        told += f" (these have no label, as {quote(differ[0][0])} and {quote(differ[0][1])})"
    if len({label for pair in pairs for label in pair}) == 1:
        return f"{told}\nCohen's kappa is not defined, for there is one label only"
    from sklearn.metrics import cohen_kappa_score

    kappa = cohen_kappa_score(*zip(*pairs, strict=True))
    return f"{told}\nCohen's kappa {kappa:.3f} (1: they agree in all, 0: as by chance)"
