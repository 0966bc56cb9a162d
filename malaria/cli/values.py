"""values: what an option's text means; each function here is the `type` of an option.

They raise ArgumentTypeError, which says what was expected and what was received.
"""

import sys
from argparse import ArgumentTypeError
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from malaria.base.address import is_address
from malaria.base.patterns import Pattern
from malaria.data.dataset import FOLDER, PATIENT
from malaria.data.splits import Folds
from malaria.evaluation.thresholds import parse_rule
from malaria.pictures.images import MAX_SIDE

Number = TypeVar("Number", int, float)
Value = TypeVar("Value")
DEFAULT_PLOT = "predictions.png"


def _two(
    kind: Callable[[str], Number], is_right: Callable[[Number, Number], bool], expected: str
) -> Callable[[str], tuple[Number, Number]]:
    """The type of two numbers with a comma between them."""

    def parse(text: str) -> tuple[Number, Number]:
        with suppress(ValueError):
            first, second = map(kind, text.split(","))
            if is_right(first, second):
                return first, second
        raise ArgumentTypeError(f"expected {expected}; received {text}")

    return parse


interval = _two(int, lambda a, b: 0 <= a < b <= sys.maxsize, "two numbers A,B with 0 <= A < B")
size = _two(
    int,
    lambda *sides: min(sides) > 0 and max(sides) <= MAX_SIDE,
    f"height,width in pixels, from 1 to {MAX_SIDE}",
)
two_probabilities = _two(
    float,
    lambda low, high: 0 <= low < high <= 1,
    "two numbers LOW,HIGH with 0 <= LOW < HIGH <= 1",
)


def threshold(text: str) -> float | str:
    """A number from 0 to 1, or a rule."""
    return _or_refuse(parse_rule, text)


def red_cells(text: str) -> float:
    """Red cells per microlitre, 1e5 to 2e7: beyond, it is another unit."""
    return _per_microlitre(text, "red cells", 1e5, 2e7, "from 1e5 to 2e7, as 4.5e6")


def white_cells(text: str) -> float:
    """White cells per microlitre, 100 to 1e6: beyond, it is another unit."""
    return _per_microlitre(text, "white cells", 100, 1e6, "from 100 to 1e6, as 8000")


def _per_microlitre(text: str, what: str, low: float, high: float, allowed: str) -> float:
    with suppress(ValueError):
        if low <= float(text) <= high:
            return float(text)
    raise ArgumentTypeError(f"expected {what} per microlitre, {allowed}; received {text}")


def cluster(text: str) -> str:
    """auto, local or HOST:PORT."""
    if text in ("auto", "local") or is_address(text):
        return text
    raise ArgumentTypeError(f"expected auto, local or HOST:PORT; received {text}")


def names(text: str) -> list[str]:
    """A,B,... -> two or more labels that differ."""
    labels = [part.strip() for part in text.split(",")]
    if len(labels) < 2 or len(set(labels)) < len(labels) or "" in labels:
        raise ArgumentTypeError(f"expected two or more unlike names, A,B; received {text}")
    return labels


def folds(text: str) -> Folds:
    """The number of parts of a cross-validation, 2 to 100, or "source"."""
    if text == "source":
        return "source"
    if not text.isascii() or not text.isdigit() or not 2 <= int(text) <= 100:
        raise ArgumentTypeError(f"expected a number from 2 to 100, or source; received {text}")
    return int(text)


def ending(*suffixes: str) -> Callable[[str], Path]:
    """The type of a path that ends, in any case, in one of the suffixes."""

    def path(text: str) -> Path:
        name = Path(text).name.lower()
        if not any(name.endswith(suffix) and name != suffix for suffix in suffixes):
            expected = " or ".join(suffixes)
            raise ArgumentTypeError(f"expected a name ending in {expected}; received {text}")
        return Path(text)

    return path


def plot(text: str) -> Path | None:
    """A .png; true means DEFAULT_PLOT, false none."""
    # The first original took a word here, and any word meant yes.
    words = {"true": Path(DEFAULT_PLOT), "false": None}
    return words[text.lower()] if text.lower() in words else ending(".png")(text)


def grouping(text: str) -> str | Pattern:
    """PATIENT, FOLDER, or a regular expression."""
    return text if text in (PATIENT, FOLDER) else _or_refuse(Pattern, text)


def _or_refuse(parse: Callable[[str], Value], text: str) -> Value:
    try:
        return parse(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{error}; received {text}") from None


def whole(text: str) -> int:
    """A whole number from 0 to a million."""
    if text.isascii() and text.isdigit() and len(text) < 8 and int(text) <= 1_000_000:
        return int(text)
    raise ArgumentTypeError(f"expected a whole number from 0 to 1,000,000; received {text}")
