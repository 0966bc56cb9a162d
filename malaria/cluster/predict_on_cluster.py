"""predict_on_cluster: images -> predictions, by all cores of a cluster."""

import os
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from malaria import __version__
from malaria.base import threads  # noqa: F401
from malaria.base.errors import UserError
from malaria.base.streams import log
from malaria.base.text import printable
from malaria.cluster.connect import import_ray
from malaria.cluster.tasks import POLL, Tasks, Work
from malaria.fields.found import Find
from malaria.inference.classifier import Classifier
from malaria.inference.litert import LiteRTNetwork
from malaria.inference.predict import predict
from malaria.inference.prediction import Prediction
from malaria.pictures.remote_path import AnyPath

# Images in a chunk: a tenth of a second of work, so that a task costs nothing beside it. A multiple
# of the batches that `inference.predict` makes, so that these are the same. Of fields, which have
# hundreds of cells, fewer.
CHUNK, FIELDS_CHUNK = 256, 2
# Most chunks in flight per core, those included that wait for an earlier one.
IN_FLIGHT = 4
# A chunk that ended so many workers is done image by image; an image becomes a row that says so.
LOSSES = 2
ENDED = f"it ended the process that read it, {LOSSES} times"


def predict_on_cluster(
    paths: Iterable[AnyPath], classifier: Classifier, *, find: Find | None = None
) -> Iterator[Prediction]:
    """Yield what `inference.predict.predict` yields of these files, in the same order.

    Ray is connected, and each node sees the files under the same paths. What a lost node had is
    done again by others. find: the images are whole fields, in which it finds the cells; it
    travels to each node. classifier: one that answers with LiteRT. Raises UserError where no worker
    can start.
    """
    chunks = Chunks(paths, FIELDS_CHUNK if find else CHUNK)
    tasks, payload = Tasks(predict_chunk, num_cpus=1), _send(classifier, find)
    polled, told = float("-inf"), dict[str, float]()
    while True:
        yield from chunks.answers()
        if time.monotonic() - polled > POLL:
            polled, cores = time.monotonic(), int(import_ray().cluster_resources().get("CPU", 0))
        for chunk in chunks.take(IN_FLIGHT * max(1, cores)):
            tasks.start(chunk, payload, chunk.paths)
        if not tasks.running:
            break
        for chunk, predictions in tasks.news():
            chunk.predictions = predictions
            if predictions is None:
                chunks.lose(chunk)
                _tell_loss(chunk.machine, told)


def _tell_loss(machine: str | None, told: dict[str, float]) -> None:
    """Log one line for all workers of a node. told: when it was, for each machine."""
    if machine is not None and time.monotonic() - told.get(machine, 0) > POLL:
        log(f"cluster: lost a worker, or more, on {printable(machine)}; their work is done again")
        told[machine] = time.monotonic()


@dataclass(eq=False)
class Chunk(Work):
    """Images that are classified together."""

    paths: list[AnyPath]
    predictions: Sequence[Prediction] | None = None


class Chunks:
    """The chunks of a run, of which a window is in memory at a time."""

    def __init__(self, paths: Iterable[AnyPath], size: int) -> None:
        self._paths, self._size = iter(paths), size
        self._window, self._again = list[Chunk](), list[Chunk]()

    def take(self, most: int) -> Iterator[Chunk]:
        """Chunks to be done, lost ones first; new ones until the window holds so many."""
        while self._again:
            yield self._again.pop(0)
        while len(self._window) < most and (paths := list(islice(self._paths, self._size))):
            self._window.append(Chunk(paths))
            yield self._window[-1]

    def lose(self, chunk: Chunk) -> None:
        """Let a chunk be done again; find the image that ends its workers."""
        if chunk.losses < LOSSES:
            self._again.append(chunk)
        elif len(chunk.paths) == 1:
            chunk.predictions = [Prediction(chunk.paths[0], error=ENDED)]
        else:
            place, singles = self._window.index(chunk), [Chunk([path]) for path in chunk.paths]
            self._window[place : place + 1] = singles
            self._again += singles

    def answers(self) -> Iterator[Prediction]:
        """What is known of the next images, in order, until one is not."""
        while self._window and (predictions := self._window[0].predictions) is not None:
            del self._window[0]
            yield from predictions


def _send(classifier: Classifier, find: Find | None) -> list[Any]:
    """The payload of `predict_chunk`, which travels to each node once.

    In a list, for Ray reads what a bare reference means for every task anew. The network travels as
    the bytes of its .tflite, which was checked here.
    """
    ray = import_ray()
    ray.util.register_serializer(
        LiteRTNetwork,
        serializer=lambda network: (network.path, network.path.read_bytes()),
        deserializer=lambda file: LiteRTNetwork(file[0], content=file[1]),
    )
    return [ray.put((replace(classifier, pair=None), find, Path.cwd(), __version__))]


def predict_chunk(
    payload: Sequence[Any], paths: Sequence[AnyPath]
) -> Iterator[str | list[Prediction]]:
    """Yield the name of this machine once the classifier is there, then all predictions."""
    classifier, find = _unpacked(*payload)
    yield socket.gethostname()
    if find is None:
        yield list(predict(paths, classifier, threads=1))
    else:
        from malaria.fields.predict_fields import predict_fields

        yield list(predict_fields(paths, classifier, find=find, threads=1))


@lru_cache(maxsize=1)
def _unpacked(payload: Any) -> Any:
    """The classifier and what finds cells, once in each process, in which Ray runs many tasks."""
    classifier, find, folder, version = import_ray().get(payload)
    if version != __version__:
        raise UserError(
            f"--cluster: expected malaria {version} on every node; received "
            f"{printable(__version__)} on {printable(socket.gethostname())}"
        )
    # Where this node has no such folder, relative paths are images that are not there.
    with suppress(OSError):
        os.chdir(folder)
    return classifier, find
