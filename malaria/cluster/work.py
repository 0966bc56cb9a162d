"""work: pictures in chunks, given out and taken back in any order, answered in their own."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from malaria.inference.prediction import Prediction
from malaria.pictures.remote_path import AnyPath

# As many chunks are given out, or wait for an earlier one, for each worker.
AHEAD = 4
# After so many workers have ended with a chunk, it is halved; with a single picture, left out.
DEATHS = 2
ENDED = f"it ended the process that read it, {DEATHS} times"


@dataclass(order=True)
class Chunk:
    """Pictures that are given out together.

    start: the place of the first one among all. is_suspect: whether a worker was lost that had it;
    then no other is given to the same worker with it. deaths: how many workers have ended since.
    """

    start: int
    paths: list[AnyPath] = field(compare=False)
    is_suspect: bool = field(default=False, compare=False)
    deaths: int = field(default=0, compare=False)


class Work:
    """All chunks of a run, of which a few are in memory at a time."""

    def __init__(self, paths: Iterable[AnyPath], size: int) -> None:
        """size: of a chunk, in pictures."""
        self._paths, self.size = iter(paths), size
        self._suspects: list[Chunk] = []
        self._done: dict[int, tuple[int, Sequence[Prediction]]] = {}
        self._taken = self._told = 0
        self._is_read = False

    def take(self, workers: int, *, is_idle: bool) -> Chunk | None:
        """The next chunk for a worker; for an idle one those that were lost, first of all.

        None if there is none now: all are given out, or too many wait for an earlier one.
        """
        if is_idle and self._suspects:
            return heapq.heappop(self._suspects)
        if self._taken - self._told >= AHEAD * workers * self.size:
            return None
        paths = list(islice(self._paths, self.size))
        if not paths:
            self._is_read = True
            return None
        chunk = Chunk(self._taken, paths)
        self._taken += len(paths)
        return chunk

    def finish(self, chunk: Chunk, predictions: Sequence[Prediction]) -> None:
        """Keep what a chunk gave until its turn has come."""
        self._done[chunk.start] = len(chunk.paths), predictions

    def give_back(self, chunk: Chunk) -> None:
        """Let a chunk be done again whose worker is lost.

        Of several that the worker had none is to blame yet. One that ends its workers again and
        again is narrowed down to the picture that does it, which is told as unreadable.
        """
        chunk.deaths += chunk.is_suspect
        chunk.is_suspect = True
        if chunk.deaths < DEATHS:
            heapq.heappush(self._suspects, chunk)
        elif len(chunk.paths) == 1:
            self.finish(chunk, [Prediction(chunk.paths[0], error=ENDED)])
        else:
            middle = len(chunk.paths) // 2
            for start, part in ((0, chunk.paths[:middle]), (middle, chunk.paths[middle:])):
                heapq.heappush(self._suspects, Chunk(chunk.start + start, part, is_suspect=True))

    def answers(self) -> Iterator[Prediction]:
        """What is known of the next pictures, in order, until one is not."""
        while self._told in self._done:
            count, predictions = self._done.pop(self._told)
            self._told += count
            yield from predictions

    @property
    def is_done(self) -> bool:
        """Whether every picture was told."""
        return self._is_read and self._told == self._taken
