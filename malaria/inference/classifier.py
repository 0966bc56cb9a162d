"""classifier: the public face of a trained model: classify, evaluate, explain."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from malaria.inference.predict import predict
from malaria.inference.prediction import Prediction
from malaria.inference.sources import list_sources
from malaria.inference.trained_model import TrainedModel
from malaria.pictures.images import Source
from malaria.pictures.remote_path import to_path

if TYPE_CHECKING:  # they bring scikit-learn and TensorFlow with them
    from malaria.evaluation.result import Result
    from malaria.inference.explain import Explanation


@dataclass(frozen=True)
class Classifier(TrainedModel):
    """A trained model that answers for images, as load_classifier gives it."""

    def classify(self, source: Source | Iterable[Source]) -> list[Prediction]:
        """One Prediction an image, in order, exactly as run.py gives it.

        Args:
            source: a path, or a URL as run.py takes it; a folder, searched with its sub-folders; a
                PIL image; a uint8 array (height, width), (height, width, 3) RGB or (height, width,
                4) RGBA; a batch (n, height, width, 3); or a list of such images. Of any size.

        An image that cannot be read has an `error` in place of a label; one that is no single cell
        has the label "unlike", and the reason as `unlike`.

        Raises:
            UsageError: arrays of another type or shape, floats above all, and empty lists.
            UserError: a folder without images.
        """
        return list(predict(list_sources(source), self))

    def evaluate(self, folder: Path | str, *, patient_pattern: str | None = None) -> "Result":
        """Metrics with 95 % intervals, the confusion matrix and the surest mistakes.

        Args:
            folder: with sub-folders of images, named as the labels, or as one of them; or a table
                with the columns path, label and, if known, patient.
            patient_pattern: a regular expression whose first group in a file's name is the patient,
                whose cells are drawn together for the intervals; None: as the model was trained.

        Raises:
            UserError: no such folder, sub-folder or column, or no readable image.
            UsageError: a patient_pattern that is no regular expression.
        """
        from malaria.inference.evaluate import evaluate

        return evaluate(self, to_path(folder), patient_pattern=patient_pattern)

    def explain(self, source: Source) -> "Explanation":
        """The Explanation of one image: where the network looked (Grad-CAM, with TensorFlow).

        Raises UnreadableImageError for an image that cannot be read, and UserError for a network
        that cannot be explained so.
        """
        from malaria.inference.explain import explain

        return explain(self, source)
