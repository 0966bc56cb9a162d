"""passed_over: a count of what folders, lists and tables hold that is not taken."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from malaria.base.text import printable, shorten

# This many folders or labels are named; the rest are counted.
NAMED = 10


@dataclass
class PassedOver:
    """What was not taken, as far as it was looked for.

    files: that are no images, by limits.kind_of. again: images that had come before, under another
    name. unlabelled: images of none of the labels, by the folder or the label that they have; ""
    where they have none. nameless: rows of tables without a path.
    """

    files: Counter[str] = field(default_factory=Counter)
    again: int = 0
    unlabelled: Counter[str] = field(default_factory=Counter)
    nameless: int = 0

    def describe(self, labels: Sequence[str] = ()) -> Iterator[str]:
        """Lines for people, none if everything was taken. labels: those that were looked for."""
        if self.files:
            parts = (f"{count:,} {printable(kind)}" for kind, count in self.files.most_common(10))
            more = ", ..." if len(self.files) > 10 else ""
            yield f"passed over, not images: {', '.join(parts)}{more}"
        yield from describe_unlabelled(self.unlabelled, labels)
        if self.nameless:
            yield f"passed over: {self.nameless:,} rows of a table that name no image"
        if self.again:
            yield f"named again, and counted once: {_images(self.again)}"


def describe_unlabelled(
    unlabelled: Counter[str], labels: Sequence[str], where: str = "passed over"
) -> Iterator[str]:
    """Lines for people about images by their folder or label, which is none of `labels`."""
    for name, count in unlabelled.most_common(NAMED):
        images = _images(count)
        if name:
            yield f"{where}: {shorten(name, 80)}, {images}: not among the labels" + did_you_mean(
                name, labels
            )
        else:
            yield f"{where}: {images} without a label, in no folder or row that tells one"
    if len(unlabelled) > NAMED:
        more = unlabelled.total() - sum(count for _, count in unlabelled.most_common(NAMED))
        yield f"{where}: {len(unlabelled) - NAMED:,} more, {more:,} images: not among the labels"


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"


def did_you_mean(name: str, labels: Sequence[str]) -> str:
    """A hint at the one of the labels that `name` is another spelling of, or nothing."""
    from difflib import get_close_matches  # rarely needed

    # Not nearer names alone: Infected is not Uninfected.
    plain = {label.casefold(): label for label in labels}
    near = get_close_matches(name.rpartition("/")[2].strip().casefold(), plain, n=1, cutoff=0.9)
    return f"; did you mean {printable(plain[near[0]])}?" if near else ""
