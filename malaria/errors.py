"""errors: mistakes the user can mend, and how the scripts print them."""

import os
import sys
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


def run_script(main, arguments=None):
    """Run `main(arguments)`; return 0 done, 1 not done, 2 wrong use or 130 interrupted.

    `main` returns a status or None. Errors become one line on stderr; with --debug among the
    arguments they keep their traceback.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        return main(arguments) or 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output, `head` perhaps, has gone; otherwise Python complains at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if "--debug" in arguments:
            raise
        print(describe(error), file=sys.stderr)
        return getattr(error, "exit_status", 1)


def describe(error):
    """One line for a UserError; for anything else its type too, and how to see more."""
    if isinstance(error, UserError):
        return f"error: {error}"
    return f"error: {type(error).__name__}: {error} (run again with --debug to see where)"
