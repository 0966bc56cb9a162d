"""spellings: what a text of a table or list, written elsewhere, is called here."""

import sys
import unicodedata
from collections.abc import Iterator


def decode_text(text: str) -> str:
    """Bytes that are no UTF-8, which Western Windows wrote, as the letters that they stand for."""
    if text.isascii():
        return text
    content = text.encode("utf-8", "surrogateescape")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", "surrogateescape")


def clean(text: str | None) -> str | None:
    """A label or a patient, without blanks around it; None if nothing is left."""
    # Interned, for millions of rows share a few.
    return sys.intern(decode_text(text).strip()) or None if text else None


def spellings(text: str) -> Iterator[str]:
    """What a path of a list may be called here, as it stands first.

    Without blanks around it, its letters as Windows wrote them, backslashes as slashes, and accents
    as one character with their letter or as two, as macOS has them. Without doubles.
    """
    plain = decode_text(text.strip())
    slashes = plain.replace("\\", "/")
    composed = unicodedata.normalize("NFC", slashes)
    decomposed = unicodedata.normalize("NFD", slashes)
    yield from dict.fromkeys((text, text.strip(), plain, slashes, composed, decomposed))
