"""labelled_predictions: predictions whose true labels are known, collected for one Result."""

from collections import Counter
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from malaria.base.errors import UserError
from malaria.base.text import printable
from malaria.data.dataset import Sample, check_sub_folders, sub_folder_of
from malaria.data.duplicates import content_of, find_contradictions
from malaria.data.listed_labels import ListedLabels
from malaria.data.listing import Listing
from malaria.evaluation.format import brief
from malaria.evaluation.result import Result
from malaria.inference.grey import describe_notes
from malaria.inference.predict import annotate
from malaria.inference.prediction import Prediction
from malaria.inference.trained_model import TrainedModel
from malaria.pictures.cell_in_field import ImagePath, or_field
from malaria.pictures.folders import is_folder
from malaria.pictures.passed_over import describe_unlabelled
from malaria.pictures.remote_path import AnyPath, FilePath

# Decimals of the probabilities by which equal images are looked for.
ALIKE = 5


class LabelledPredictions:
    """Collects predictions that have a true label, until their Result is asked for.

    known: the predictions kept. left_out: how many had no label or could not be read; unreadable:
    how many of them the latter; unlabelled: the former, by the name that is none of the labels, or
    "". noted: how many readable ones have each note of `predict`, or none.
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
        self.left_out = self.unreadable = 0
        self.unlabelled: Counter[str] = Counter()
        self.noted: Counter[str | None] = Counter()
        self.known: list[Prediction] = []

    @classmethod
    def of_folder(
        cls, model: TrainedModel, folder: FilePath, *, group_of: Callable[[AnyPath], str | None]
    ) -> "LabelledPredictions":
        """For a folder; raises UserError unless a sub-folder is named as one of the labels."""
        if not is_folder(folder):
            found = "nothing" if isinstance(folder, Path) and not folder.exists() else "a file"
            raise UserError(
                f"expected a folder or a table of labelled images; found {found} at "
                f"{printable(folder)}"
            )
        known = model.metadata
        check_sub_folders(folder, known.labels, are_assumed="labels" in known.assumed)
        return cls(model, label_of=lambda path: sub_folder_of(path, folder), group_of=group_of)

    @classmethod
    def of_table(
        cls, model: TrainedModel, table: Listing, *, group_of: Callable[[AnyPath], str | None]
    ) -> "LabelledPredictions":
        """For a table; raises UserError unless it says some of the labels, one of each image."""
        table.expect("label")
        known = ListedLabels([table])
        known.check(model.metadata.labels)
        return cls(
            model,
            label_of=lambda path: known.of(path)[0],
            group_of=lambda path: or_field(known.of(path)[1] or group_of(path), path),
        )

    def label_of(self, path: AnyPath) -> str | None:
        """The true label of an image, if it is one of the model's."""
        label = self._label_of(path)
        return label if label in self.model.metadata.labels else None

    def add(self, prediction: Prediction) -> None:
        """Keep the prediction, if it has a true label and could be read."""
        self.unreadable += prediction.error is not None
        self.noted[prediction.note] += prediction.error is None
        if prediction.true_label is None or prediction.error is not None:
            self.left_out += 1
            if prediction.true_label is None and prediction.path is not None:
                self.unlabelled[self._label_of(prediction.path) or ""] += 1
        else:
            self.known.append(prediction)

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

    @property
    def unlike(self) -> dict[str, int]:
        """{true label: how many of the images kept are no single cells to the guard}."""
        marked = Counter(one.true_label for one in self.known if one.unlike is not None)
        return {label: marked[label] for label in self.model.metadata.labels}

    @cached_property
    def without_unlike(self) -> Result | None:
        """The Result without these images; None if no others are left."""
        kept = [place for place, one in enumerate(self.known) if one.unlike is None]
        return self.result.of(np.array(kept)) if kept else None

    @cached_property
    def contradictions(self) -> list[Sample]:
        """The images kept whose pixels are there under another label too."""
        # Equal pixels have equal answers, so that few images must be read again.
        alike: dict[tuple[float, ...], list[Prediction]] = {}
        for one in self.known:
            alike.setdefault(tuple(round(x, ALIKE) for x in one.probabilities or ()), []).append(
                one
            )
        several = [some for some in alike.values() if len({one.true_label for one in some}) > 1]
        labels = self.model.metadata.labels
        return find_contradictions(
            [
                Sample(
                    one.path, labels.index(one.true_label or ""), None, content=content_of(one.path)
                )
                for some in several
                for one in some
                if isinstance(one.path, ImagePath)
            ]
        )

    @property
    def notes(self) -> list[str]:
        """Lines about the images that were added, and about those that have none of the labels."""
        labels = self.model.metadata.labels
        left_out = describe_unlabelled(self.unlabelled, labels, "not in the metrics")
        told = filter(None, (self.describe_unlike(), self.describe_contradictions()))
        return [*left_out, *told, *describe_notes(self.noted, "image")]

    def describe_unlike(self) -> str:
        """What the guard marks, by true label, and the metrics without it; "" if it is nothing."""
        if not any(self.unlike.values()):
            return ""
        pairs = [(self.unlike[name], n, name) for name, n in self.result.counts.items()]
        by_label = ", ".join(f"{name} {marked:,} of {n:,}" for marked, n, name in pairs)
        rest = "no image is left" if self.without_unlike is None else brief(self.without_unlike)
        return (
            f"the guard marks {sum(self.unlike.values()):,} of {len(self.known):,} images as "
            f"unlike a single cell: {by_label}; the metrics count what the network says of them; "
            f"without them: {rest}"
        )

    def describe_contradictions(self) -> str:
        """How many images lie under two labels, with an example; "" if there are none."""
        if not (found := self.contradictions):
            return ""
        return (
            f"{len(found):,} files hold images that lie under two labels, as {found[0].path} and "
            f"{found[1].path}: one label of each is wrong"
        )

    def to_entries(self) -> dict[str, Any]:
        """What metrics.json holds beside the Result, plain values."""
        rest = self.without_unlike
        return {
            "left_out": self.left_out,
            "unlike": sum(self.unlike.values()),
            "unlike_by_label": self.unlike,
            "without_unlike": rest and {"images_by_label": rest.counts, **rest.values},
        }
