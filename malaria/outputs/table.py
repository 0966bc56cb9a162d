"""table: one line an image on stdout, for people or for programs."""

import os
import shutil
import sys
from collections.abc import Sequence

from malaria.base.text import printable, shorten
from malaria.inference.prediction import REVIEW, UNLIKE, Prediction
from malaria.outputs.output import Output

UNREADABLE = "unreadable"
# SGR codes of a terminal: the positive label, doubt, and what could not be read.
RED, YELLOW, GREY, PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[2m", "\x1b[0m"
# A path is never cut shorter than this, however narrow the terminal.
SHORTEST_PATH = 20


class Rows(Output):
    """Prints the predictions: a table on a terminal, else fields separated by tabs."""

    def __init__(self, labels: Sequence[str], positive_label: str) -> None:
        self.format = format_prediction
        if sys.stdout.isatty():
            self.format = Table(labels, positive_label, colour=wants_colour()).format

    def add(self, prediction: Prediction) -> None:
        """Print one line."""
        print(self.format(prediction))

    def finish(self) -> None:
        """Bring the lines to their reader before anything is said on stderr."""
        sys.stdout.flush()


def format_prediction(prediction: Prediction) -> str:
    """One line, tab-separated: path, label, its probability; or path, "unreadable" and the reason.

    After an image that is no single cell comes the reason; of a cell in a field its box, left, top,
    width and height in pixels, stands after the path.
    """
    path = printable(prediction.path)
    if prediction.box is not None:
        path = f"{path}\t{prediction.box}"
    if prediction.error is not None:
        return f"{path}\t{UNREADABLE}\t{printable(prediction.error)}"
    line = f"{path}\t{printable(prediction.label)}\t{prediction.probability:.4f}"
    return line if prediction.unlike is None else f"{line}\t{prediction.unlike}"


class Table:
    """Lines for a terminal: label, in colour, probability and path in columns, the path last."""

    def __init__(self, labels: Sequence[str], positive: str, *, colour: bool) -> None:
        self.width = max(len(printable(name)) for name in (*labels, UNREADABLE, UNLIKE))
        colours = {positive: RED, REVIEW: YELLOW, UNLIKE: YELLOW, UNREADABLE: GREY}
        self.colours = colours if colour else {}
        self.columns = shutil.get_terminal_size().columns

    def format(self, prediction: Prediction) -> str:
        """One line of the table."""
        label = UNREADABLE if prediction.label is None else prediction.label
        name = f"{printable(label):<{self.width}}"
        if label in self.colours:
            name = f"{self.colours[label]}{name}{PLAIN}"
        middle = f"{prediction.probability:.4f}" if prediction.error is None else "      "
        room = max(SHORTEST_PATH, self.columns - self.width - 11)
        path = shorten(prediction.path, room, from_end=True)
        place = "" if prediction.box is None else f"  {prediction.box}"
        reason = prediction.error or prediction.unlike
        more = "" if reason is None else f"  {printable(reason)}"
        return f"{name}  {middle}  {path}{place}{more}"


def wants_colour() -> bool:
    """True unless the user wants no colours, as https://no-color.org asks."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
