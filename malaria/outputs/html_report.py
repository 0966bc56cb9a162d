"""html_report: predictions -> one HTML file for people; it needs no network and no other file."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from malaria.base.proportions import wilson
from malaria.base.streams import log
from malaria.base.text import natural_key, printable
from malaria.evaluation.parasitaemia import Accuracy, corrected_share
from malaria.fields.headline import describe_worth, percent
from malaria.inference.classifier import Classifier
from malaria.inference.prediction import Prediction
from malaria.outputs.html_parts import as_jpeg, data_uri, histogram, link_to, thumbnail, write_page
from malaria.outputs.output import Output
from malaria.pictures.images import UnreadableImageError

if TYPE_CHECKING:
    from malaria.inference.labelled_predictions import LabelledPredictions

UNKNOWN_GROUP = "not known"
# What the page knows of one image, by name; plain values.
Row = dict[str, Any]


class Page:
    """Collects predictions as they pass and writes the report; holds only thumbnails and rows."""

    def __init__(
        self,
        path: Path,
        labels: Sequence[str],
        positive_label: str,
        threshold: float,
        model_name: str,
    ) -> None:
        """labels: of the model, in its order. threshold: of two labels, for the positive one."""
        self.path = Path(path)
        self.positive = list(labels).index(positive_label)
        self.labels = [printable(label) for label in labels]
        self.threshold = threshold if len(self.labels) == 2 else None
        self.model_name = printable(model_name)
        self.rows: list[Row] = []
        self.notes: Sequence[str] = ()

    def add(self, prediction: Prediction) -> None:
        """Keep one prediction with a thumbnail of its image, and of its overlay the whole."""
        # NaN, which JSON does not have, becomes None.
        known = [
            round(float(value), 6) if math.isfinite(value) else None
            for value in prediction.probabilities or ()
        ]
        label, truth = _text(prediction.label), _text(prediction.true_label)
        row: Row = {
            "name": printable(prediction.path),
            "link": None,
            "label": label,
            "probabilities": known,
            "positive": known[self.positive] if known else None,
            "group": _text(prediction.group),
            "truth": truth,
            # Of another label than the model's: it is left to a person.
            "wrong": truth not in (None, label) and label in self.labels,
            "unlike": _text(prediction.unlike),
            "error": _text(prediction.error),
            "image": None,
            "overlay": data_uri(as_jpeg(prediction.overlay)) if prediction.overlay else None,
        }
        if prediction.error is None and prediction.path is not None:
            try:
                row["image"] = thumbnail(prediction.path)
                row["link"] = link_to(prediction.path, self.path.parent)
            except UnreadableImageError as error:  # it may be gone by now
                row["error"] = _text(error)
        self.rows.append(row)

    def write(
        self,
        *,
        evaluation: dict[str, Any] | None = None,
        title: str = "",
        note: str = "",
        accuracy: Accuracy | str = "",
    ) -> None:
        """Write the file, whole or not at all. Raises UserError if it cannot be written.

        title: in place of "Report on n images". note: a paragraph in place of all summaries, where
        shares would mislead, since the images were chosen.
        evaluation: {"metrics": [{"name", "value", "low", "high"}], "confusion": rows of true
        labels, "roc": {"false", "true"}, "reliability": [{"predicted", "observed", "count"}],
        "report": text}.
        accuracy: of the model, if known: the page says what the share is worth by it.
        """
        count = len(self.rows)
        title = title or f"Report on {count:,} image{'' if count == 1 else 's'}"
        known = {"evaluation": evaluation, "title": printable(title), "note": note}
        known["worth"] = self._worth(accuracy)
        write_page(self.path, "html_report.html", self._content() | known)

    def _content(self) -> dict[str, Any]:
        found = {row["label"] for row in self.rows} - {None}
        return {
            "labels": self.labels,
            "positive_label": self.labels[self.positive],
            "other_labels": sorted(found - set(self.labels)),
            "threshold": self.threshold,
            "model_name": self.model_name,
            "notes": self.notes,
            "rows": self.rows,
            "tally": self._tally(self.rows),
            "unknown_group": UNKNOWN_GROUP,
            "groups": self._groups(),
            "evaluated": any(row["truth"] is not None for row in self.rows),
            "bins": histogram([row["positive"] for row in self.rows]),
        }

    def _worth(self, accuracy: Accuracy | str) -> str:
        tally, positive = self._tally(self.rows), self.labels[self.positive]
        if isinstance(accuracy, str) or not tally["positive"]:
            return ""
        share = corrected_share(tally["positive"], tally["decided"], accuracy)
        worth = describe_worth(share, accuracy, positive)
        return f"Corrected for what the model gets wrong, {percent(share)} are {positive}; {worth}."

    def _groups(self) -> list[tuple[str, dict[str, Any]]]:
        """[(group, its tally), ...], C2 before C10; [] if no row has a group."""
        if all(row["group"] is None for row in self.rows):
            return []
        groups = defaultdict(list)
        for row in self.rows:
            groups[row["group"] or UNKNOWN_GROUP].append(row)
        return [(name, self._tally(groups[name])) for name in sorted(groups, key=natural_key)]

    def _tally(self, rows: Sequence[Row]) -> dict[str, Any]:
        """The counts of some rows.

        share: of the positive label, among images with a label; (low, high) its 95 % interval.
        """
        counts: Counter[str | None] = Counter(row["label"] for row in rows)
        decided = sum(counts[label] for label in self.labels)
        positive = counts[self.labels[self.positive]]
        low, high = wilson(positive, decided)
        return {
            "pictures": len(rows),
            "counts": counts,
            "unreadable": counts[None],
            "wrong": sum(row["wrong"] for row in rows),
            "judged": sum(row["truth"] is not None and row["label"] in self.labels for row in rows),
            "decided": decided,
            "positive": positive,
            "share": positive / decided if decided else None,
            "low": low,
            "high": high,
        }


class HtmlReport(Page, Output):
    """The page of --report: every image with its prediction."""

    def __init__(
        self, path: Path, classifier: Classifier, labelled: "LabelledPredictions | None" = None
    ) -> None:
        """labelled: collects the predictions to evaluate, if that is to be on the page too."""
        self.labelled, of = labelled, classifier.metadata
        self.accuracy = classifier.accuracy()
        super().__init__(path, of.labels, of.positive_label, of.threshold, classifier.name)

    def finish(self) -> None:
        """Write the page. Raises UserError if it cannot be written."""
        evaluation = None
        if self.labelled:
            from malaria.evaluation.format import to_report

            evaluation = to_report(self.labelled.result)
        self.write(evaluation=evaluation, accuracy=self.accuracy)
        log(f"saved {printable(self.path)}")


def _text(value: object) -> str | None:
    return None if value is None else printable(value)
