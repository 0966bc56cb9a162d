"""worker: what runs on the cluster, a classifier in a process of its own, on one core."""

import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from malaria import __version__
from malaria.base import threads  # noqa: F401
from malaria.inference.classifier import Classifier
from malaria.inference.litert import LiteRTNetwork
from malaria.inference.network import Network
from malaria.inference.predict import predict
from malaria.inference.prediction import Prediction
from malaria.pictures.remote_path import AnyPath


@dataclass(frozen=True)
class Baggage:
    """What travels to each node once: the classifier, but for its network; the .tflite of that, as
    it was checked where run.py was started; and the folder from which relative paths start.
    """

    classifier: Classifier
    tflite: Path
    content: bytes
    folder: Path

    @classmethod
    def pack(cls, classifier: Classifier) -> "Baggage":
        """From a classifier that answers with LiteRT."""
        network = classifier.network
        assert isinstance(network, LiteRTNetwork), "only LiteRT travels"
        left = replace(classifier, network=cast(Network, None), pair=None)
        return cls(left, network.path, network.path.read_bytes(), Path.cwd())

    def unpack(self) -> Classifier:
        """The same classifier in another process, with one core for its network."""
        network = LiteRTNetwork(self.tflite, content=self.content)
        return replace(self.classifier, network=network)


class Worker:
    """An actor of Ray's."""

    def load(self, baggage: Baggage) -> tuple[str, str]:
        """Get ready; return the name of this machine and the version of the program on it."""
        # Where this node has no such folder, relative paths are pictures that are not there.
        with suppress(OSError):
            os.chdir(baggage.folder)
        self.classifier = baggage.unpack()
        return socket.gethostname(), __version__

    def predict(self, paths: Sequence[AnyPath], *, fields: bool) -> list[Prediction]:
        """What `predict`, or `predict_fields`, gives for these pictures."""
        if fields:
            from malaria.fields.predict_fields import predict_fields

            return list(predict_fields(paths, self.classifier, threads=1))
        return list(predict(paths, self.classifier, threads=1))
