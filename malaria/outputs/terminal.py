"""report: predictions -> lines, a table for people, and a summary."""

import os
import shutil
import time
from collections import Counter, defaultdict

from malaria.base.errors import printable
from malaria.base.proportions import wilson
from malaria.base.tables import align
from malaria.inference.classifier import REVIEW

UNREADABLE = "unreadable"
# So many groups are listed; a report or an output file has the others.
LISTED_GROUPS = 60
# SGR codes of a terminal: the positive label, doubt, and what could not be read.
RED, YELLOW, GREY, PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[2m", "\x1b[0m"


def format_prediction(prediction):
    """One line, tab-separated: path, label, probability of that label; or the path and a reason."""
    path = printable(prediction.path)
    if prediction.error is not None:
        return f"{path}\t{UNREADABLE}\t{printable(prediction.error)}"
    return f"{path}\t{printable(prediction.label)}\t{prediction.probability:.4f}"


class Table:
    """Lines for a terminal: label, probability and path in columns, the path last.

    positive: the label to be shown in colour. colour: False where the user wants none.
    """

    def __init__(self, labels, positive, *, colour):
        self.width = max(len(printable(name)) for name in (*labels, UNREADABLE))
        self.positive, self.colour = positive, colour
        self.columns = shutil.get_terminal_size().columns

    def format(self, prediction):
        """One line of the table."""
        label = prediction.label if prediction.error is None else UNREADABLE
        middle = f"{prediction.probability:.4f}" if prediction.error is None else "      "
        room = max(20, self.columns - self.width - 11)
        path = _shorten(printable(prediction.path), room)
        name = f"{printable(label):<{self.width}}"
        line = f"{self._paint(name, label)}  {middle}  {path}"
        return line if prediction.error is None else f"{line}  {printable(prediction.error)}"

    def _paint(self, text, label):
        colours = {self.positive: RED, REVIEW: YELLOW, UNREADABLE: GREY}
        code = colours.get(label) if self.colour else None
        return f"{code}{text}{PLAIN}" if code else text


def wants_colour():
    """Whether the user wants colours, as https://no-color.org asks."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _shorten(text, room):
    return text if len(text) <= room else f"...{text[3 - room :]}"


class Summary:
    """Counts predictions as they pass. labels: all that may come, so that none is missing."""

    def __init__(self, labels, positive):
        self.labels, self.positive = labels, positive
        self.counts = Counter(dict.fromkeys(labels, 0))
        self.groups = defaultdict(Counter)
        self.unreadable = 0
        self.new, self.started, self.ended = 0, None, None

    def start(self):
        """From here on time counts for the images per second."""
        self.started = self.ended = time.perf_counter()

    def add(self, prediction, group=None):
        """Count one prediction, in its group too."""
        if self.started is not None:
            self.new, self.ended = self.new + 1, time.perf_counter()
        if prediction.error is not None:
            self.unreadable += 1
            return
        self.counts[prediction.label] += 1
        if group is not None:
            self.groups[group][prediction.label] += 1

    @property
    def total(self):
        """How many pictures there were, readable or not."""
        return self.counts.total() + self.unreadable

    @property
    def images_per_second(self):
        """Of the pictures classified since start(); what is made of them later does not count."""
        return self.new / max(self.ended - self.started, 1e-9)

    def format_counts(self):
        """One line a label, tab-separated: label, count; and the unreadable ones, if any."""
        lines = [f"{printable(label)}\t{count}" for label, count in self.counts.items()]
        return "\n".join(lines + [f"{UNREADABLE}\t{self.unreadable}"] * bool(self.unreadable))

    def describe(self):
        """Counts, speed, the positive share with its interval, and the groups, for people."""
        counts = ", ".join(f"{printable(name)} {count}" for name, count in self.counts.items())
        images = "image" if self.total == 1 else "images"
        first = (
            f"{self.total} {images}: {counts}; {self.unreadable} unreadable; "
            f"{self.images_per_second:.1f} images/s"
        )
        share = f"share of {printable(self.positive)} [95 % interval]: "
        share += _describe_share(self.counts, self.positive)
        return "\n".join([first, *([share] if self.counts.total() else []), *self._group_lines()])

    def _group_lines(self):
        """A table of the groups, if there are at least two."""
        if len(self.groups) < 2:
            return []
        shown = sorted(self.groups, key=_natural)[:LISTED_GROUPS]
        rows = [self._group_row(group, self.groups[group]) for group in shown]
        head = ["group", *self.counts, f"share of {self.positive} [95 % interval]"]
        more = len(self.groups) - len(shown)
        return [align([head, *rows]), *([f"and {more} more groups"] if more else [])]

    def _group_row(self, group, counts):
        share = _describe_share(counts, self.positive)
        return [group, *(counts[name] for name in self.counts), share]


def _describe_share(counts, positive):
    """Among the cells that were decided on; those left for review are no evidence."""
    decided = sum(count for name, count in counts.items() if name != REVIEW)
    if decided == 0:
        return "-"
    low, high = wilson(counts[positive], decided)
    return f"{counts[positive] / decided:.1%} [{low:.1%}, {high:.1%}]"


def _natural(group):
    """Sorts 2 before 10."""
    return (0, int(group), "") if group.isascii() and group.isdigit() else (1, 0, group)
