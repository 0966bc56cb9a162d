"""errors: mistakes the user can mend, and strangers' text made safe to print."""

import unicodedata


class UserError(Exception):
    """Something could not be done; the message says what, where, and what to do about it."""

    exit_status = 1


class UsageError(UserError):
    """A command line or a config that cannot be right; nothing was begun."""

    exit_status = 2


def printable(text):
    """`text` with control characters, which could move a cursor or break a line, as `\\x1b`.

    Names of files come from strangers; bytes that are no UTF-8 are escaped too.
    """
    return "".join(
        character.encode("unicode_escape").decode("ascii")
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        else character
        for character in str(text)
    )
