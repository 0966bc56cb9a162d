"""read_ahead: the threads that wait for pictures of other machines while others classify."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Thread, current_thread

from malaria.pictures.remote import hang_up

# So many pictures are waited for at once: each takes 20 to 100 ms, and no work here.
REMOTE_READERS = 32


@contextmanager
def remote_readers() -> Iterator[ThreadPoolExecutor]:
    """The threads, none before it is needed; who stops before the end waits for no picture."""
    started: list[Thread] = []
    with ThreadPoolExecutor(
        REMOTE_READERS, initializer=lambda: started.append(current_thread())
    ) as readers:
        try:
            yield readers
        except BaseException:
            readers.shutdown(wait=False, cancel_futures=True)
            _hang_up(started)
            raise


def _hang_up(threads: list[Thread]) -> None:
    # Again and again, for one may have been about to ask.
    while any(thread.is_alive() for thread in threads):
        hang_up()
        time.sleep(0.05)
