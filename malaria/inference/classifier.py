"""classifier: a trained network with all that is needed to feed it and to read it."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from malaria.base.errors import UsageError, UserError
from malaria.base.text import printable
from malaria.evaluation.decisions import apply_temperature, decide, from_logits, label_probabilities
from malaria.evaluation.tta import VIEWS, average, turn
from malaria.inference.guard import Guard
from malaria.inference.predict import predict
from malaria.inference.prediction import REVIEW, Prediction
from malaria.inference.sources import check_batch, list_sources
from malaria.pictures.images import Source
from malaria.pictures.remote_path import to_path
from malaria.saved.architecture import with_size
from malaria.saved.metadata import Metadata
from malaria.saved.pair import Pair, digest_of, read_architecture

if TYPE_CHECKING:  # they bring scikit-learn and TensorFlow with them
    from malaria.evaluation.result import Result
    from malaria.inference.explain import Explanation
    from malaria.inference.gradcam import Explainer

# (n, height, width, 3) float32 -> outputs, (n, 1) or (n, number of labels).
Network = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Classifier:
    """A network, how pictures are read for it, and what its outputs mean.

    afterwards: None, or what makes the next start quicker: called once the results are told, it
    returns the path it wrote. review: as in `with_threshold`. guard: what tells pictures that are
    no single cells, or None. Several threads may use one at once.
    """

    metadata: Metadata
    network: Network
    pair: Pair | None = None
    afterwards: Callable[[], Path] | None = None
    review: tuple[float, float] | None = None
    guard: Guard | None = None

    def classify(self, source: Source | Iterable[Source]) -> list[Prediction]:
        """What the network says of each picture, in order, exactly as run.py says it.

        Args:
            source: a path, or a URL as run.py takes it; a folder, searched with its sub-folders; a
                PIL image; a uint8 array (height, width), (height, width, 3) RGB or (height, width,
                4) RGBA; a batch (n, height, width, 3); or a list of such pictures. Of any size.

        Returns:
            One Prediction a picture. A picture that cannot be read has an `error` in place of a
            label; one that is no single cell has the label "unlike", and the reason as `unlike`.

        Raises:
            UsageError: arrays of another type or shape, floats above all, and empty lists.
            UserError: a folder without pictures.
        """
        return list(predict(list_sources(source), self))

    def evaluate(self, folder: Path | str, *, patient_pattern: str | None = None) -> "Result":
        """What the answers are worth on `folder`, whose sub-folders are named as the labels.

        Args:
            folder: with a sub-folder for at least one of the labels.
            patient_pattern: a regular expression whose first group in a file's name is the patient,
                whose cells are drawn together for the intervals; None: as the model was trained.

        Returns:
            The Result: metrics with 95 % intervals, the confusion matrix, the surest mistakes.

        Raises:
            UserError: no such folder or sub-folder, or no readable picture in one.
            UsageError: a patient_pattern that is no regular expression.
        """
        from malaria.inference.evaluate import evaluate

        return evaluate(self, to_path(folder), patient_pattern=patient_pattern)

    def explain(self, source: Source) -> "Explanation":
        """Where in one picture the network looked (Grad-CAM). This imports TensorFlow.

        Raises UnreadableImageError for a picture that cannot be read, and UserError for a network
        that cannot be explained so.
        """
        from malaria.inference.explain import explain

        return explain(self, source)

    def with_threshold(
        self,
        threshold: float | None = None,
        *,
        review: tuple[float, float] | None = None,
        tta: bool | None = None,
        guard: bool | None = None,
    ) -> "Classifier":
        """The same Classifier with another threshold, or with doubtful cells labelled "review".

        threshold: from this probability of the positive label on a cell is called positive. review:
        (low, high), on the same probability. tta: whether answers are averaged over turns and
        flips. guard: whether pictures that are no single cells are told. None: as the metadata
        says. Raises UsageError for the first two beyond two labels, for tta with images that are
        not square, and for the guard of a model that has none.
        """
        if (threshold, review) != (None, None) and len(self.metadata.labels) > 2:
            raise UsageError(
                "threshold and review: expected a model of two labels; this one has "
                f"{len(self.metadata.labels)}"
            )
        threshold = self.metadata.threshold if threshold is None else threshold
        tta = self.metadata.tta if tta is None else tta
        height, width = self.metadata.pixels.size
        if tta and height != width:
            raise UsageError(f"tta: quarter turns need square images, not {height} x {width}")
        metadata = replace(self.metadata, threshold=threshold, tta=tta)
        kept = self._check_guard() if guard else None if guard is False else self.guard
        return replace(self, metadata=metadata, review=review, guard=kept)

    def _check_guard(self) -> Guard:
        """The model's guard. Raises UsageError if it has none."""
        if self.guard is None:
            raise UsageError(
                f"--guard: {printable(self.name)} has none, for it was not trained by this program "
                "or before it had one"
            )
        return self.guard

    @property
    def name(self) -> str:
        """The model's, as its files are named."""
        return self.pair.weights.stem if self.pair else "model"

    @property
    def answers(self) -> tuple[str, ...]:
        """Every label that `decide` may give."""
        return (*self.metadata.labels, REVIEW) if self.review else self.metadata.labels

    @property
    def identity(self) -> str:
        """Hexadecimal digits, the same for classifiers that answer alike."""
        weights = self.metadata.details.get("weights_sha256")
        weights = weights or (self.pair and digest_of(self.pair))
        guard = self.guard and (self.metadata.guard, self.guard.threshold)
        text = repr((weights, self.metadata.labels, self.review, guard))
        known = self.metadata
        reading = repr((known.threshold, known.pixels, known.tta, known.temperature))
        return hashlib.sha256((text + reading).encode()).hexdigest()

    def load_keras(self) -> Any:
        """The network in Keras, for what needs its gradients. This imports TensorFlow."""
        from malaria.networks.load_model import load_model

        if self.pair is None or self.pair.kind == "tflite":
            raise UserError("a .tflite has no Keras form: expected a pair or a file of Keras")
        architecture = read_architecture(self.pair)
        return load_model(self.pair, with_size(architecture, self.metadata.pixels.size))

    @cached_property
    def explainer(self) -> "Explainer":
        """Grad-CAM of the network, made once. Raises UserError for one that has none."""
        from malaria.inference.gradcam import Explainer

        return Explainer(self.load_keras())

    def scale(self, images: np.ndarray) -> np.ndarray:
        """(n, height, width, 3) uint8 as the network takes it, float32. Raises UsageError."""
        check_batch(images)
        return self.metadata.pixels.to_floats(images)

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Probabilities (n, number of labels), in label order, of (n, height, width, 3) uint8.

        The images have the size and the colour order of metadata.pixels. Raises UsageError for
        floats, which are refused and never rescaled, and for other shapes.
        """
        images = self.scale(images)
        if self.metadata.tta:
            answers = average(self._ask(turn(images, view)) for view in VIEWS)
        else:
            answers = self._ask(images)
        return apply_temperature(label_probabilities(answers), self.metadata.temperature)

    def _ask(self, images: np.ndarray) -> np.ndarray:
        outputs = self.network(images)
        return from_logits(outputs) if self.metadata.logits else outputs

    def find_unlike(self, images: np.ndarray) -> list[str | None]:
        """Why each picture is no single cell, or None; of images as `predict` takes them."""
        if self.guard is None:
            return [None] * len(images)
        is_reversed = self.metadata.pixels.colour == "BGR"
        return self.guard.reasons(images[..., ::-1] if is_reversed else images)

    def decide(self, probabilities: np.ndarray) -> list[str]:
        """The names of the labels by the threshold; REVIEW for those in doubt."""
        positive = self.metadata.positive
        numbers = decide(probabilities, positive=positive, threshold=self.metadata.threshold)
        low, high = self.review or (1.0, 0.0)
        doubtful = (low < probabilities[:, positive]) & (probabilities[:, positive] < high)
        return [
            REVIEW if is_doubtful else self.metadata.labels[number]
            for number, is_doubtful in zip(numbers, doubtful, strict=True)
        ]
