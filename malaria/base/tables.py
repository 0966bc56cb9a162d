"""tables: rows of values as lines of text."""

from malaria.base.errors import printable


def align(rows):
    """Lines of columns two spaces apart, the first flush left, the others flush right."""
    rows = [[_cell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *rest in rows:
        cells = [f"{text:>{width}}" for text, width in zip(rest, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]))
    return "\n".join(lines)


def _cell(value):
    return f"{value:,}" if isinstance(value, int) else printable(value)
