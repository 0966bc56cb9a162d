"""text: make strangers' text safe to print, cut it short, sort names, align tables."""

import re
import unicodedata
from collections.abc import Sequence
from typing import Any


def printable(text: object) -> str:
    """`text` with control characters, which could move a cursor or break a line, as `\\x1b`.

    Names of files come from strangers; bytes that are no UTF-8 are escaped too.
    """
    return "".join(
        character.encode("unicode_escape").decode("ascii")
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        else character
        for character in str(text)
    )


def shorten(text: object, length: int, *, from_end: bool = False) -> str:
    """`text`, printable, in at most `length` characters; `...` stands for what was cut off.

    from_end: cut at the beginning, as suits a path.
    """
    shown = printable(text)
    if len(shown) <= length:
        return shown
    return f"...{shown[3 - length :]}" if from_end else f"{shown[: length - 3]}..."


def quote(text: object) -> str:
    """A stranger's `text` for a message: in quotes, on one line, at most 80 characters."""
    return f"'{shorten(text, 80)}'"


def is_plain_name(text: str) -> bool:
    """True if `text` can be the name of a file or a folder, and no way to another place."""
    return text.strip() not in ("", ".", "..") and not set(text) & set("/\\\0")


def natural_key(name: str) -> str:
    """A key to sort names by, with 2 before 10 and C2 before C10."""
    return re.sub(r"\d+", lambda digits: digits.group().zfill(20), name)


def align(rows: Sequence[Sequence[Any]]) -> str:
    """Lines of columns two spaces apart, the first flush left, the others flush right."""
    cells = [[f"{x:,}" if isinstance(x, int) else printable(x) for x in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for first, *rest in cells:
        others = [f"{text:>{width}}" for text, width in zip(rest, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *others]))
    return "\n".join(lines)
