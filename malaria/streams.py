"""streams: keep what libraries say on stderr from people who cannot mend it."""

import os
import sys
import tempfile
from contextlib import contextmanager


@contextmanager
def stderr_kept_back():
    """Hold what is written to stderr, by C++ too, and show it only if the block fails.

    For the whole process: nothing else should be telling anything meanwhile.
    """
    sys.stderr.flush()
    shown = os.dup(2)
    with tempfile.TemporaryFile() as kept:
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
