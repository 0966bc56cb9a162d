"""predict_on_cluster: images -> predictions, by all cores of a cluster."""

import os
import socket
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from malaria import __version__
from malaria.base import threads  # noqa: F401
from malaria.base.errors import UserError
from malaria.base.streams import log
from malaria.base.text import printable
from malaria.cluster.chunks import Chunks
from malaria.cluster.connect import import_ray
from malaria.cluster.tasks import POLL, Tasks
from malaria.inference.classifier import Classifier
from malaria.inference.litert import LiteRTNetwork
from malaria.inference.predict import predict
from malaria.inference.prediction import Prediction
from malaria.pictures.remote_path import AnyPath

# Images in a chunk: a tenth of a second of work, so that a task costs nothing beside it. A multiple
# of the batches that `inference.predict` makes, so that these are the same.
CHUNK = 256
# A field has hundreds of cells.
FIELDS_CHUNK = 2
# Most chunks in flight per core, those included that wait for an earlier one.
IN_FLIGHT = 4


def predict_on_cluster(
    paths: Iterable[AnyPath],
    classifier: Classifier,
    *,
    fields: bool = False,
    chunk_size: int | None = None,
) -> Iterator[Prediction]:
    """Yield what `inference.predict.predict` yields of these files, in the same order.

    Ray is connected, and each node sees the files under the same paths. What a lost node had is
    done again by others. A few chunks for each core are in memory at a time. fields: the images are
    whole fields, as for `predict_fields`. classifier: one that answers with LiteRT. Raises
    UserError where no worker can start.
    """
    ray = import_ray()
    chunks = Chunks(paths, chunk_size or (FIELDS_CHUNK if fields else CHUNK))
    tasks, lost = Tasks(predict_chunk, num_cpus=1), Counter[str]()
    # In a list, for Ray reads what a bare reference means for every task anew.
    payload = [ray.put(Payload.pack(classifier))]
    cores, polled = 1, 0.0
    while True:
        if time.monotonic() - polled > POLL:
            polled, cores = time.monotonic(), int(ray.cluster_resources().get("CPU", 0))
            _tell_losses(lost)
        for chunk in chunks.take(IN_FLIGHT * max(1, cores)):
            tasks.start(chunk, payload, chunk.paths, fields)
        yield from chunks.answers()
        if not tasks.running:
            break
        for chunk, predictions in tasks.news():
            chunk.predictions = predictions
            if predictions is None:
                lost.update([chunk.machine] if chunk.machine else [])
                chunks.lose(chunk, is_suspect=chunk.machine is not None)
    _tell_losses(lost)


def _tell_losses(lost: Counter[str]) -> None:
    """One line for each machine that lost workers since the last time."""
    for machine, count in lost.items():
        workers = "a worker" if count == 1 else f"{count} workers"
        log(f"cluster: lost {workers} on {printable(machine)}; its work is done again")
    lost.clear()


@dataclass(frozen=True)
class Payload:
    """What travels to each node once: the classifier without its network, the .tflite of that as it
    was checked where run.py was started, the folder of relative paths, and our version.
    """

    classifier: Classifier
    tflite: Path
    content: bytes
    folder: Path
    version: str

    @classmethod
    def pack(cls, classifier: Classifier) -> "Payload":
        """From a classifier that answers with LiteRT."""
        network = classifier.network
        assert isinstance(network, LiteRTNetwork), "only LiteRT travels"
        left = replace(classifier, network=_no_network, pair=None, afterwards=None)
        return cls(left, network.path, network.path.read_bytes(), Path.cwd(), __version__)

    def unpack(self) -> Classifier:
        """The same classifier in another process. Raises UserError for another version."""
        if self.version != __version__:
            raise UserError(
                f"--cluster: expected malaria {self.version} on every node; received "
                f"{printable(__version__)} on {printable(socket.gethostname())}"
            )
        # Where this node has no such folder, relative paths are images that are not there.
        with suppress(OSError):
            os.chdir(self.folder)
        network = LiteRTNetwork(self.tflite, content=self.content)
        return replace(self.classifier, network=network)


def _no_network(images: Any) -> Any:
    raise AssertionError("the network travels as its bytes")


def predict_chunk(
    payload: Sequence[Any], paths: Sequence[AnyPath], fields: bool
) -> Iterator[str | list[Prediction]]:
    """Yield the name of this machine once the classifier is there, then all predictions."""
    classifier = _unpacked(*payload)
    yield socket.gethostname()
    if fields:
        from malaria.fields.predict_fields import predict_fields

        yield list(predict_fields(paths, classifier, threads=1))
    else:
        yield list(predict(paths, classifier, threads=1))


@lru_cache(maxsize=1)
def _unpacked(payload: Any) -> Classifier:
    """The classifier, once in each process, in which Ray runs many tasks."""
    classifier: Classifier = import_ray().get(payload).unpack()
    return classifier
