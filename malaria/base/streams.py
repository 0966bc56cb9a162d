"""streams: progress on stderr; what libraries write there is dropped or held back."""

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

# The file descriptor belongs to all threads: two that hold it back at once would restore each
# other's file, and stderr would be lost for good.
_ONE_AT_A_TIME = threading.Lock()


def log(line: str) -> None:
    """Write a line of progress to stderr; stdout is for results."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def stderr_discarded() -> Iterator[None]:
    """Drop what is written to stderr, by C too. For the whole process."""
    with open(os.devnull, "wb") as nowhere, _stderr_into(nowhere):
        yield


@contextmanager
def stderr_kept_back() -> Iterator[None]:
    """Hold what is written to stderr, by C++ too, and show it only if the block fails.

    For the whole process: nothing else should be telling anything meanwhile.
    """
    with tempfile.TemporaryFile() as kept, _stderr_into(kept) as shown:
        try:
            yield
        except BaseException:
            kept.seek(0)
            os.write(shown, kept.read())
            raise


@contextmanager
def _stderr_into(file: IO[bytes]) -> Iterator[int]:
    """Send file descriptor 2 into `file`; gives the descriptor that still shows what is written."""
    with _ONE_AT_A_TIME:
        sys.stderr.flush()
        shown = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield shown
        finally:
            os.dup2(shown, 2)
            os.close(shown)
