"""tables: rows of values as lines of text."""

from collections.abc import Sequence
from typing import Any

from malaria.base.text import printable


def align(rows: Sequence[Sequence[Any]]) -> str:
    """Lines of columns two spaces apart, the first flush left, the others flush right."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for first, *rest in cells:
        others = [f"{text:>{width}}" for text, width in zip(rest, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *others]))
    return "\n".join(lines)


def _cell(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else printable(value)
