"""streams: tell progress on stderr, and keep there what libraries say from the user."""

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# The file descriptor belongs to all threads: two that hold it back at once would restore each
# other's file, and stderr would be lost for good.
_ONE_AT_A_TIME = threading.Lock()


def log(line: str) -> None:
    """Tell how things go, on stderr; stdout is for results."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def stderr_discarded() -> Iterator[None]:
    """Drop what C writes to stderr, of which nothing needs to be known. For the whole process."""
    with _ONE_AT_A_TIME, open(os.devnull, "wb") as nowhere:
        sys.stderr.flush()
        shown = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(shown, 2)
            os.close(shown)


@contextmanager
def stderr_kept_back() -> Iterator[None]:
    """Hold what is written to stderr, by C++ too, and show it only if the block fails.

    For the whole process: nothing else should be telling anything meanwhile.
    """
    with _ONE_AT_A_TIME, tempfile.TemporaryFile() as kept:
        sys.stderr.flush()
        shown = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            kept.seek(0)
            os.write(shown, kept.read())
            raise
        finally:
            os.dup2(shown, 2)
            os.close(shown)
