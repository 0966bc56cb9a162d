"""summary: counts of images by label, in all and by group."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from malaria.base.proportions import describe_share
from malaria.base.streams import log
from malaria.base.text import align, natural_key, printable
from malaria.inference.classifier import Classifier
from malaria.inference.predict import Rate
from malaria.inference.prediction import UNLIKE, Prediction
from malaria.outputs.output import Output
from malaria.outputs.table import UNREADABLE

# At most this many groups are listed; a report or an output file has the others.
LISTED_GROUPS = 60


class Summary(Output):
    """Counts of predictions on stderr; counts_only: as the result on stdout, too."""

    def __init__(
        self, classifier: Classifier, rate: Rate, *, counts_only: bool = False, thing: str = "image"
    ) -> None:
        self.classifier, self.doubted = classifier, 0
        self.positive = classifier.metadata.positive_label
        self.labels = classifier.metadata.labels
        self.rate, self.counts_only, self.thing = rate, counts_only, thing
        # Every label, so that one without images is listed with 0.
        self.counts = Counter(dict.fromkeys(classifier.answers, 0))
        self.unlike: Counter[str] = Counter()
        self.groups: dict[str, Counter[str]] = defaultdict(Counter)
        self.unreadable = 0

    def add(self, prediction: Prediction) -> None:
        """Count one prediction, in its group too."""
        if prediction.label is None:
            self.unreadable += 1
            return
        self.counts[prediction.label] += 1
        if prediction.unlike is not None:
            self.unlike[prediction.unlike] += 1
            self.doubted += self.classifier.is_doubted(prediction)
        if prediction.group is not None:
            self.groups[prediction.group][prediction.label] += 1

    def finish(self) -> None:
        """Print the counts."""
        if self.counts_only:
            print(self.format_counts(), flush=True)
        log(self.describe())

    @property
    def total(self) -> int:
        """The number of images, readable or not."""
        return self.counts.total() + self.unreadable

    def format_counts(self) -> str:
        """One line a label, tab-separated: label, count; and the unreadable ones, if any."""
        unreadable = {UNREADABLE: self.unreadable} if self.unreadable else {}
        counts = [*self.counts.items(), *unreadable.items()]
        return "\n".join(f"{printable(label)}\t{count}" for label, count in counts)

    def describe(self) -> str:
        """Counts, speed, the positive share with its interval, and the groups, for people."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        counts = ", ".join(f"{printable(name)} {count}" for name, count in self.counts.items())
        things = self.thing if self.total == 1 else f"{self.thing}s"
        speed = f"{self.rate.per_second:.1f} {self.thing}s/s"
        yield f"{self.total} {things}: {counts}; {self.unreadable} unreadable; {speed}"
        # The shares of fields are told by patient, with what is known of their errors.
        is_of_fields = self.thing == "cell"
        if self.counts.total() and not is_of_fields:
            share = self._describe_share(self.counts)
            yield f"share of {printable(self.positive)} [95 % interval]: {share}"
        if self.unlike:
            reasons = "; ".join(f"{count}: {reason}" for reason, count in self.unlike.most_common())
            hint = "; --fields finds the single cells in whole fields" * (self.thing == "image")
            yield f"{UNLIKE} a single cell, and left out of the share: {reasons}{hint}"
        if self.doubted:
            yield (
                f"called {printable(self.positive)} but doubted: {self.doubted:,} of them; look at "
                "these, for a parasite can look like no cell"
            )
        if len(self.groups) > 1 and not is_of_fields:
            yield from self._group_lines()
        yield from map(printable, self.notes)

    def _group_lines(self) -> Iterator[str]:
        shown = sorted(self.groups, key=natural_key)[:LISTED_GROUPS]
        rows = [["group", *self.counts, f"share of {self.positive} [95 % interval]"]]
        for group in shown:
            counts = self.groups[group]
            each = [f"{counts[name]:,}" for name in self.counts]
            rows.append([group, *each, self._describe_share(counts)])
        yield align(rows)
        if more := len(self.groups) - len(shown):
            yield f"and {more} more groups"

    def _describe_share(self, counts: Mapping[str, int]) -> str:
        """Among the cells that were decided on; what has no label of the model is no evidence."""
        return describe_share(counts[self.positive], sum(counts[label] for label in self.labels))
