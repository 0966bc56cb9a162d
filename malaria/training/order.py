"""order: which images an epoch shows, how often, and in what order."""

from collections.abc import Sequence

import numpy as np


def count_batches(images: int, batch_size: int) -> int:
    """The number of batches for that many images; the last one may be smaller."""
    return -(-images // batch_size)


def balance_within(indices: np.ndarray, labels: np.ndarray, sources: Sequence[str]) -> np.ndarray:
    """The indices, in each source those of rarer labels repeated until each label has as many.

    labels, sources: of each index. A source of one label stays as it is. So no label is known by
    the look of a laboratory that has both; those of one label still weigh in `balance`, after this.
    """
    names = np.asarray(sources)
    insides = [names == source for source in dict.fromkeys(sources)]
    return np.sort(np.concatenate([balance(indices[one], labels[one]) for one in insides]))


def balance(
    indices: np.ndarray, labels: np.ndarray, sources: Sequence[str] | None = None
) -> np.ndarray:
    """The indices, those of rarer labels, and of a label's rarer sources, repeated.

    labels, sources: of each index. In the end each label has as many, and within a label each of
    its sources, but for a rest of less than one each; none has fewer than before. Drawing the rare
    label more often taught more than counting it more in the loss, where a batch holds few of it.
    """
    sources = [""] * len(indices) if sources is None else sources
    groups: dict[int, dict[str, list[int]]] = {}
    for index, label, source in zip(indices.tolist(), labels.tolist(), sources, strict=True):
        groups.setdefault(label, {}).setdefault(source, []).append(index)
    most = max(len(one) * max(map(len, one.values())) for one in groups.values())
    repeated = [
        np.resize(members, most // len(one) + (place < most % len(one)))
        for one in groups.values()
        for place, members in enumerate(one.values())
    ]
    return np.sort(np.concatenate(repeated))


def epoch_order(
    indices: np.ndarray, *, batch_size: int, steps: int | None, epoch: int, seed: int
) -> np.ndarray:
    """The samples of one epoch in the order they are shown.

    Passes, each shuffled anew, follow one another; with `steps` an epoch may begin within a pass.
    """
    count = len(indices)
    size = count if steps is None else steps * batch_size
    positions = np.arange(epoch * size, (epoch + 1) * size)
    parts = []
    for number in range(positions[0] // count, positions[-1] // count + 1):
        order = np.random.RandomState([seed, number]).permutation(indices)
        parts.append(order[positions[positions // count == number] % count])
    return np.concatenate(parts)


def seed_of(seed: int, epoch: int) -> int:
    """One 31-bit number of (seed, epoch), so that no two epochs are augmented alike."""
    return int(np.random.RandomState([seed, epoch]).randint(2**31))
