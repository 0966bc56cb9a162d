"""report: predictions -> lines and a summary."""

import time
from collections import Counter

from malaria.errors import printable


def format_prediction(prediction):
    """One line, tab-separated: path, label, probability of that label; or the path and a reason."""
    path = printable(prediction.path)
    if prediction.error is not None:
        return f"{path}\tunreadable\t{printable(prediction.error)}"
    return f"{path}\t{printable(prediction.label)}\t{prediction.probability:.4f}"


class Summary:
    """Counts predictions as they pass. labels: all that may come, so that none is missing."""

    def __init__(self, labels):
        self.counts = Counter(dict.fromkeys(labels, 0))
        self.unreadable = 0
        self.started = time.perf_counter()

    def add(self, prediction):
        """Count one prediction."""
        if prediction.error is None:
            self.counts[prediction.label] += 1
        else:
            self.unreadable += 1

    @property
    def total(self):
        """How many pictures there were, readable or not."""
        return self.counts.total() + self.unreadable

    def format_counts(self):
        """One line a label, tab-separated: label, count; and the unreadable ones, if any."""
        lines = [f"{printable(label)}\t{count}" for label, count in self.counts.items()]
        return "\n".join(lines + [f"unreadable\t{self.unreadable}"] * bool(self.unreadable))

    def describe(self):
        """The counts with their shares, and the speed, in one line for people."""
        readable = max(1, self.counts.total())
        parts = [
            f"{printable(label)} {count} ({count / readable:.1%})"
            for label, count in self.counts.items()
        ]
        rate = self.total / max(time.perf_counter() - self.started, 1e-9)
        images = "image" if self.total == 1 else "images"
        return (
            f"{self.total} {images}: {', '.join(parts)}; "
            f"{self.unreadable} unreadable; {rate:.1f} images/s"
        )
