"""choose_cells: which cells are worth a label, and in which order.

Half are drawn at random, so that the figures are honest; half are those in doubt.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import NamedTuple, TypeVar

import numpy as np

from malaria.base.text import natural_key
from malaria.inference.prediction import APART, Prediction
from malaria.inference.trained_model import TrainedModel
from malaria.labelling.label_table import DOUBT, RANDOM

# Steps of the golden ratio leave no gap for long: whatever number is taken is spread evenly.
GOLDEN = (5**0.5 - 1) / 2
# The share of random cells that are of what the guard marks or leaves to a person.
OTHERS = 0.1
# No field gives more than this many times its share of the doubtful cells while others have some.
CROWDED = 2

Item = TypeVar("Item")


class Chosen(NamedTuple):
    """A cell to be labelled, and why. stands_for: how many of all a random one stands for."""

    cell: Prediction
    why: str
    stands_for: float | None = None


def can_be_labelled(cell: Prediction) -> bool:
    """True for what the network was asked about and has answered."""
    return cell.label is not None and cell.label not in APART and cell.path is not None


def choose_cells(
    cells: Sequence[Prediction],
    model: TrainedModel,
    *,
    count: int,
    seed: int = 0,
    labelled: Mapping[int, str] | None = None,
) -> list[Chosen]:
    """At most `count` of the cells, as they are shown; random and doubtful ones take turns.

    Random ones are drawn within strata of what the model calls them, as many of each as it has,
    and evenly over patients and fields. The same for the same cells, count and seed; a larger
    count only adds cells. labelled: {index of a cell that has a label: why it was chosen}, which
    come before others.
    """
    labelled, rng = labelled or {}, np.random.default_rng([seed, 1])
    strata: dict[str, list[int]] = defaultdict(list)
    for place, cell in enumerate(cells):
        if can_be_labelled(cell):
            strata[cell.label or ""].append(place)
    sizes = {name: len(strata[name]) for name in sorted(strata)}
    drawn = {}
    shares = _shares(sizes, model.metadata.labels, (count + 1) // 2)
    for number, (name, share) in enumerate(shares.items()):
        kept = [place for place in strata[name] if labelled.get(place) == RANDOM]
        order = _spread(strata[name], cells, np.random.default_rng([seed, 2, number]))
        taken = set(list(dict.fromkeys([*kept, *order]))[: max(share, len(kept))])
        drawn[name] = [place for place in order if place in taken]
    random = [
        Chosen(cells[place], RANDOM, len(strata[name]) / len(drawn[name]))
        for name, place in _in_turn(drawn, rng)
    ]
    random_ones = {place for places in drawn.values() for place in places}
    left = [place for places in strata.values() for place in places if place not in random_ones]
    doubtful = _doubtful(left, cells, model, labelled, max(0, count - len(random)))
    doubt = [Chosen(cells[place], DOUBT) for place in rng.permutation(sorted(doubtful)).tolist()]
    return list(_mix(random, doubt, rng))


def _shares(sizes: Mapping[str, int], labels: Sequence[str], count: int) -> dict[str, int]:
    """How many of each stratum: equal numbers, as far as it has them.

    Of what has none of the model's labels, and so is in no rate, OTHERS together.
    """
    decided = {name: size for name, size in sizes.items() if name in labels}
    others = {name: size for name, size in sizes.items() if name not in labels}
    few = _equal_shares(others, round(OTHERS * count) if decided else count)
    shares = few | _equal_shares(decided, count - sum(few.values()))
    return {name: shares[name] for name in sizes}


def _equal_shares(sizes: Mapping[str, int], count: int) -> dict[str, int]:
    shares, left = {}, count
    for number, name in enumerate(sorted(sizes, key=lambda name: sizes[name])):
        shares[name] = min(sizes[name], round(left / (len(sizes) - number)))
        left -= shares[name]
    return shares


def _spread(
    places: Sequence[int], cells: Sequence[Prediction], rng: np.random.Generator
) -> list[int]:
    """The places in an order of which every beginning is spread evenly over patients and fields.

    Each cell has the same chance to be in a beginning: one of a crowded field no smaller one.
    """
    shuffled = rng.permutation(places).tolist()
    rank = {name: rng.random() for name in sorted({_group(cells[one]) for one in shuffled})}
    in_line = sorted(
        shuffled,
        key=lambda one: (rank[_group(cells[one])], natural_key(str(_field(cells[one])))),
    )
    steps = (np.arange(len(in_line)) * GOLDEN + rng.random()) % 1
    return [in_line[step] for step in np.argsort(steps, kind="stable").tolist()]


def _group(cell: Prediction) -> str:
    return cell.group or ""


def _field(cell: Prediction) -> Hashable:
    """The field of a cell, or the patient of an image that is one cell."""
    return str(cell.path) if cell.box else _group(cell)


def _in_turn(
    strata: Mapping[str, Sequence[int]], rng: np.random.Generator
) -> Iterator[tuple[str, int]]:
    """(stratum, place): one of each stratum, shuffled, then the next of each.

    So the labelled share of each stratum is the same wherever somebody stops.
    """
    columns = ([(name, place) for place in places] for name, places in strata.items())
    for row in zip_longest(*columns):
        known = [one for one in row if one is not None]
        yield from (known[one] for one in rng.permutation(len(known)).tolist())


def _doubtful(
    places: Sequence[int],
    cells: Sequence[Prediction],
    model: TrainedModel,
    labelled: Mapping[int, str],
    count: int,
) -> list[int]:
    """What the guard marked and the network calls positive, then what is nearest to the threshold.

    Those that have a label come before all.
    """
    ranked = sorted(
        places, key=lambda one: (not model.is_doubted(cells[one]), _sureness(cells[one], model))
    )
    fields = len({_field(cells[one]) for one in places})
    most, seen = -(-CROWDED * count // max(1, fields)), Counter[Hashable]()
    first: list[int] = []
    later: list[int] = []
    for place in ranked:
        field = _field(cells[place])
        seen[field] += 1
        (first if seen[field] <= most else later).append(place)
    ordered = sorted([*first, *later], key=lambda one: one not in labelled)
    return ordered[:count]


def _sureness(cell: Prediction, model: TrainedModel) -> float:
    """How far the answer is from another one, 0..1."""
    probabilities = cell.probabilities or (0.0, 0.0)
    if len(probabilities) == 2:
        return abs(probabilities[model.metadata.positive] - model.metadata.threshold)
    second, first = sorted(probabilities)[-2:]
    return first - second


def _mix(one: Sequence[Item], other: Sequence[Item], rng: np.random.Generator) -> Iterator[Item]:
    """One of each in turn, which of them first by chance; then what is left of the longer."""
    for pair in zip_longest(one, other):
        known = [item for item in pair if item is not None]
        yield from reversed(known) if rng.random() < 0.5 else known
