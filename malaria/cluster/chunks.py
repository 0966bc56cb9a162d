"""chunks: images in chunks, done in any order, answered in their own."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from malaria.cluster.tasks import Work
from malaria.inference.prediction import Prediction
from malaria.pictures.remote_path import AnyPath

# A chunk that ended so many processes is halved; a single image becomes a row that says so.
LOSSES = 2
ENDED = f"it ended the process that read it, {LOSSES} times"


@dataclass(eq=False)
class Chunk(Work):
    """Images that are classified together. losses: how many processes ended with them."""

    paths: list[AnyPath]
    losses: int = 0
    predictions: Sequence[Prediction] | None = None


class Chunks:
    """The chunks of a run, of which a window is in memory at a time."""

    def __init__(self, paths: Iterable[AnyPath], size: int) -> None:
        """size: of a chunk, in images."""
        self._paths, self._size = iter(paths), size
        self._window, self._again = list[Chunk](), list[Chunk]()

    def take(self, most: int) -> Iterator[Chunk]:
        """Chunks to be done, lost ones first; new ones until the window holds so many."""
        while self._again:
            yield self._again.pop(0)
        while len(self._window) < most and (paths := list(islice(self._paths, self._size))):
            self._window.append(Chunk(paths))
            yield self._window[-1]

    def lose(self, chunk: Chunk, *, is_suspect: bool) -> None:
        """Let a chunk be done again whose process ended.

        is_suspect: whether its images may have done that. One that does it again and again is
        narrowed down to, and told as unreadable.
        """
        chunk.losses += is_suspect
        if chunk.losses < LOSSES:
            self._again.append(chunk)
        elif len(chunk.paths) == 1:
            chunk.predictions = [Prediction(chunk.paths[0], error=ENDED)]
        else:
            middle, place = len(chunk.paths) // 2, self._window.index(chunk)
            halves = [Chunk(chunk.paths[:middle]), Chunk(chunk.paths[middle:])]
            self._window[place : place + 1] = halves
            self._again += halves

    def answers(self) -> Iterator[Prediction]:
        """What is known of the next images, in order, until one is not."""
        while self._window and (predictions := self._window[0].predictions) is not None:
            del self._window[0]
            yield from predictions
