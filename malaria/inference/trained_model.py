"""trained_model: a trained network with all that is needed to feed it and to read it."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from malaria.base.errors import UsageError, UserError
from malaria.base.text import printable
from malaria.evaluation.decisions import apply_temperature, decide, from_output, label_probabilities
from malaria.evaluation.known_accuracy import counting_threshold, known_accuracy
from malaria.evaluation.parasitaemia import Accuracy
from malaria.evaluation.tta import VIEWS, average, turn
from malaria.inference.grey import NOTE, find_grey
from malaria.inference.guard import Guard
from malaria.inference.network import Network
from malaria.inference.prediction import REVIEW, Prediction
from malaria.inference.sources import check_batch
from malaria.saved.architecture import with_size
from malaria.saved.metadata import Metadata
from malaria.saved.pair import Pair, digest_of, read_architecture

if TYPE_CHECKING:  # it brings TensorFlow with it
    from malaria.inference.gradcam import Explainer

Model = TypeVar("Model", bound="TrainedModel")


@dataclass(frozen=True)
class TrainedModel:
    """A network, how images are read for it, and what its outputs mean; for several threads.

    review: as in `with_threshold`. guard: what tells images that are no single cells, or None.
    """

    metadata: Metadata
    network: Network
    pair: Pair | None = None
    review: tuple[float, float] | None = None
    guard: Guard | None = None

    def with_threshold(
        self: Model,
        threshold: float | None = None,
        *,
        review: tuple[float, float] | None = None,
        tta: bool | None = None,
        guard: bool | None = None,
    ) -> Model:
        """The same with another threshold, or with doubtful cells labelled "review".

        threshold: from this probability of the positive label on a cell is called positive. review:
        (low, high), on the same probability. tta: answers are averaged over turns and flips.
        guard: images that are no single cells are told. None: as the metadata says. Raises
        UsageError for the first two beyond two labels, for tta with images that are not square,
        and for the guard of a model that has none.
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
        if guard and self.guard is None:
            raise UsageError(
                f"--guard: {printable(self.name)} has none, for it was not trained by this program "
                "or before it had one"
            )
        metadata = replace(self.metadata, threshold=threshold, tta=tta)
        kept = None if guard is False else self.guard
        return replace(self, metadata=metadata, review=review, guard=kept)

    def for_counting(self: Model) -> Model:
        """The same at its threshold for few positive cells among many, where it has one."""
        threshold = counting_threshold(self.metadata)
        return self if threshold is None else self.with_threshold(threshold, review=self.review)

    @property
    def name(self) -> str:
        """As its files are named."""
        return self.pair.weights.stem if self.pair else "model"

    @property
    def answers(self) -> tuple[str, ...]:
        """Every label that `decide` may give."""
        return (*self.metadata.labels, REVIEW) if self.review else self.metadata.labels

    @property
    def identity(self) -> str:
        """Hexadecimal digits, the same for models that answer alike."""
        known = self.metadata
        weights = known.details.get("weights_sha256") or (self.pair and digest_of(self.pair))
        guard = self.guard and (known.guard, self.guard.threshold)
        text = repr((weights, known.labels, self.review, guard))
        text += repr((known.threshold, known.pixels, known.tta, known.temperature))
        return hashlib.sha256(text.encode()).hexdigest()

    def load_keras(self) -> Any:
        """The network in Keras, for what needs its gradients. This imports TensorFlow."""
        from malaria.networks.load_model import load_model

        if self.pair is None or self.pair.kind == "tflite":
            raise UserError("a .tflite has no Keras form: expected a pair or a file of Keras")
        architecture = read_architecture(self.pair)
        return load_model(self.pair, with_size(architecture, self.metadata.pixels.size))

    @cached_property
    def explainer(self) -> "Explainer":
        """Grad-CAM of the network. Raises UserError for one that has none."""
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
        return self.answer(images)[0]

    def find_unlike(self, images: np.ndarray) -> list[str | None]:
        """The reason why each image, as `predict` takes it, is no single cell, or None."""
        return self.answer(images)[1]

    def answer(self, images: np.ndarray) -> tuple[np.ndarray, list[str | None]]:
        """What `predict` and `find_unlike` give, for the work of one."""
        scaled = self.scale(images)
        views = VIEWS if self.metadata.tta else VIEWS[:1]
        asked = [self.network(turn(scaled, view)) for view in views]
        # What comes after are the features.
        count = asked[0].shape[1] - self.network.feature_count
        outputs = average(from_output(one[:, :count], self.metadata.output) for one in asked)
        probabilities = apply_temperature(label_probabilities(outputs), self.metadata.temperature)
        if self.guard is None:
            return probabilities, [None] * len(images)
        return probabilities, self.guard.reasons(asked[0][:, count:])

    def find_notes(self, images: np.ndarray) -> list[str | None]:
        """What makes the answer for each image, as `predict` takes it, less sure, or None."""
        if not self.metadata.learnt_colours:
            return [None] * len(images)
        return [NOTE if is_grey else None for is_grey in find_grey(images).tolist()]

    def decide(self, probabilities: np.ndarray) -> list[str]:
        """The names of the labels by the threshold; REVIEW for those in doubt."""
        positive = self.metadata.positive
        numbers = decide(probabilities, positive=positive, threshold=self.metadata.threshold)
        names = np.array(self.metadata.labels, object)[numbers]
        if self.review:
            low, high = self.review
            names[(low < probabilities[:, positive]) & (probabilities[:, positive] < high)] = REVIEW
        return names.tolist()

    def accuracy(self) -> Accuracy | str:
        """What it is known to get wrong as it decides now, or why that is not known."""
        if self.review:
            return "--review leaves cells undecided, and its accuracy was measured on all"
        return known_accuracy(self.metadata)

    def is_doubted(self, prediction: Prediction) -> bool:
        """True if the network gives the positive label to what the guard takes for no cell."""
        if prediction.unlike is None or prediction.probabilities is None:
            return False
        positive, threshold = self.metadata.positive, self.metadata.threshold
        probabilities = np.array([prediction.probabilities])
        return bool(decide(probabilities, positive=positive, threshold=threshold)[0] == positive)
