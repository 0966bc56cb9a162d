"""read_ahead: the threads that wait for images of other machines while others classify."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Thread, current_thread
from typing import TypeVar

from malaria.pictures.remote import hang_up

# So many images are waited for at once: each takes 20 to 100 ms, and no work here.
REMOTE_READERS = 32

T = TypeVar("T")


@contextmanager
def remote_readers() -> Iterator[ThreadPoolExecutor]:
    """The threads, none before it is needed; who stops before the end waits for no image."""
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


def result_of(future: Future[T]) -> T:
    """What a future gives. Python may see a Ctrl-C that comes as a wait begins at its end only."""
    while not wait([future], timeout=0.5).done:
        pass
    return future.result()


def _hang_up(threads: list[Thread]) -> None:
    # Again and again, for one may have been about to ask.
    while any(thread.is_alive() for thread in threads):
        hang_up()
        time.sleep(0.05)
