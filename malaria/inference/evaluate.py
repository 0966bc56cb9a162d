"""evaluate: predictions of labelled images -> one Result."""

from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path

import numpy as np

from malaria.base.errors import UsageError, UserError
from malaria.base.patterns import Pattern
from malaria.base.text import printable
from malaria.data.dataset import check_sub_folders, make_patient_finder, true_label
from malaria.evaluation.result import Result
from malaria.inference.predict import annotate, predict
from malaria.inference.prediction import Prediction
from malaria.inference.sources import find_some
from malaria.inference.trained_model import TrainedModel
from malaria.pictures.folders import is_folder
from malaria.pictures.remote_path import AnyPath


class LabelledPredictions:
    """Collects predictions that have a true label, until their Result is asked for.

    known: the predictions kept. left_out: how many had no label or could not be read; unreadable:
    how many of them the latter. unlike: how many of those kept are no single cells to the guard.
    """

    def __init__(
        self,
        model: TrainedModel,
        *,
        label_of: Callable[[AnyPath], str | None],
        group_of: Callable[[AnyPath], str | None],
    ) -> None:
        """label_of, group_of: the true label and the patient of an image, if known."""
        self.model, self.group_of, self._label_of = model, group_of, label_of
        self.left_out = self.unreadable = self.unlike = 0
        self.known: list[Prediction] = []

    @classmethod
    def of_folder(
        cls, model: TrainedModel, folder: AnyPath, *, group_of: Callable[[AnyPath], str | None]
    ) -> "LabelledPredictions":
        """For a folder; raises UserError unless a sub-folder is named as one of the labels."""
        if not is_folder(folder):
            found = "nothing" if isinstance(folder, Path) and not folder.exists() else "a file"
            raise UserError(
                f"expected a folder of labelled images; found {found} at {printable(folder)}"
            )
        labels = model.metadata.labels
        check_sub_folders(folder, labels, are_assumed=not model.metadata.details)
        return cls(model, label_of=lambda path: true_label(path, folder, labels), group_of=group_of)

    def label_of(self, path: AnyPath) -> str | None:
        """The true label of an image, if it is one of the model's."""
        label = self._label_of(path)
        return label if label in self.model.metadata.labels else None

    def add(self, prediction: Prediction) -> None:
        """Keep the prediction, if it has a true label and could be read."""
        self.unreadable += prediction.error is not None
        if prediction.true_label is None or prediction.error is not None:
            self.left_out += 1
        else:
            self.known.append(prediction)
            self.unlike += prediction.unlike is not None

    def add_all(self, predictions: Iterable[Prediction]) -> None:
        """Look up the true labels of the predictions, and keep them."""
        for one in annotate(predictions, group_of=self.group_of, label_of=self.label_of):
            self.add(one)

    @cached_property
    def result(self) -> Result:
        """Of all that was added. Raises UserError if that was nothing."""
        if not self.known:
            raise UserError("none of the images could be read and has a label")
        metadata = self.model.metadata
        groups = [self.group_of(one.path) if one.path else None for one in self.known]
        return Result(
            paths=[str(one.path) for one in self.known],
            labels=np.array([metadata.labels.index(one.true_label or "") for one in self.known]),
            probabilities=np.array([one.probabilities for one in self.known]),
            label_names=metadata.labels,
            positive_label=metadata.positive_label,
            threshold=metadata.threshold,
            groups=None if None in groups else groups,
            model=self.model.pair.weights if self.model.pair else None,
        )


def evaluate(model: TrainedModel, folder: AnyPath, *, patient_pattern: str | None) -> Result:
    """The Result of the model on all images of `folder`; see Classifier.evaluate."""
    if patient_pattern is not None:
        try:  # a wrong one would find other patients
            Pattern(patient_pattern)
        except ValueError as error:
            raise UsageError(f"patient_pattern: {error}") from None
    group_of = make_patient_finder(patient_pattern or model.metadata.patient_pattern)
    labelled = LabelledPredictions.of_folder(model, folder, group_of=group_of)
    labelled.add_all(predict(find_some(folder), model))
    return labelled.result
