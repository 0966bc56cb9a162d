"""field_report: the parasitaemia of fields, as a table and as one HTML file with their boxes."""

import os
import platform
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from malaria.base.files import write_csv, write_json, write_text
from malaria.base.proportions import describe_share
from malaria.base.streams import log
from malaria.base.text import align, printable
from malaria.fields.field_counts import FieldCounts, add_up, by_group, tally
from malaria.fields.find_cells import cut
from malaria.inference.classifier import Classifier
from malaria.inference.prediction import Prediction
from malaria.outputs.field_pictures import draw_boxes, open_field
from malaria.outputs.html_parts import data_uri, loaded_versions, make_template, thumbnail
from malaria.outputs.output import Output
from malaria.pictures.images import UnreadableImageError
from malaria.pictures.remote_path import AnyPath

# At most this many fields are listed on stderr; the file has all.
LISTED = 30
# At most this many fields are shown, about 150 KB each; the others have a row in the table.
SHOWN = 100
# Cells with the positive label that are shown of each field, the most probable first.
CELLS = 24


class FieldTable(Output):
    """Parasitaemia by field, by patient and in all."""

    def __init__(self, classifier: Classifier, output: Path | None) -> None:
        """output: the file of --output, beside which the table is written; None: it is not."""
        self.labels = classifier.metadata.labels
        self.positive = classifier.metadata.positive_label
        self.path = output.with_name(f"{output.stem}_fields{output.suffix}") if output else None
        self.fields: dict[str, FieldCounts] = {}

    def add(self, prediction: Prediction) -> None:
        """Count one cell in its field."""
        self.fields.setdefault(str(prediction.path), FieldCounts()).add(prediction)

    def finish(self) -> None:
        """Print the table and write it. Raises UserError if it cannot be written."""
        rows = list(self._rows())
        log(self._describe(rows))
        if self.path is None:
            return
        if self.path.suffix.lower() == ".csv":
            write_csv(self.path, list(rows[0]), [list(row.values()) for row in rows])
        else:
            write_json(self.path, rows)
        log(f"saved {printable(self.path)}")

    def _rows(self) -> Iterator[dict[str, Any]]:
        """A row for each field, each patient, and all."""
        for path, counts in self.fields.items():
            yield self._row("field", path, 1, counts)
        for name, counts, number in by_group(self.fields):
            yield self._row("patient", name, number, counts)
        every = list(self.fields.values())
        yield self._row("all", None, len(every), add_up(every))

    def _row(
        self, level: str, name: str | None, number: int, counts: FieldCounts
    ) -> dict[str, Any]:
        known = {"level": level, "name": name, "patient": counts.group, "fields": number}
        return known | tally(counts, self.labels, self.positive)

    def _describe(self, rows: list[dict[str, Any]]) -> str:
        """The table for people; of many fields the first."""
        fields = [row for row in rows if row["level"] == "field"]
        shown = fields[:LISTED] + [row for row in rows if row["level"] != "field"]
        head = ["field or patient", "red cells", self.positive, "parasitaemia [95 % interval]"]
        more = [f"and {len(fields) - LISTED:,} more fields"] if len(fields) > LISTED else []
        return "\n".join([align([head, *map(_cells, shown)]), *more])


def _cells(row: dict[str, Any]) -> list[str]:
    name = row["name"]
    if row["level"] == "all":
        name = "1 field" if row["fields"] == 1 else f"all {row['fields']:,} fields"
    if row["level"] == "patient":
        name = f"patient {name}"
    if row["error"] is not None:
        return [str(name), "-", "-", row["error"]]
    cells, positive = row["red cells"], row["positive"]
    return [str(name), f"{cells:,}", f"{positive:,}", describe_share(positive, cells)]


class FieldReport(Output):
    """The page of --report for --fields. It holds the cells of one field at a time."""

    def __init__(self, path: Path, classifier: Classifier) -> None:
        self.path, self.classifier = path, classifier
        self.labels = classifier.metadata.labels
        self.positive = classifier.metadata.positive_label
        self.fields: dict[str, FieldCounts] = {}
        self.pictures: list[dict[str, Any]] = []
        self.waiting: list[Prediction] = []

    def add(self, prediction: Prediction) -> None:
        """Keep one cell until its field is whole."""
        if self.waiting and self.waiting[-1].path != prediction.path:
            self._finish_field()
        self.waiting.append(prediction)
        self.fields.setdefault(str(prediction.path), FieldCounts()).add(prediction)

    def finish(self) -> None:
        """Write the page. Raises UserError if it cannot be written."""
        if self.waiting:
            self._finish_field()
        write_text(self.path, make_template("field_report.html").render(self._content()))
        log(f"saved {printable(self.path)}")

    def _finish_field(self) -> None:
        cells, self.waiting = self.waiting, []
        path = cells[0].path
        if len(self.pictures) >= SHOWN or path is None or cells[0].box is None:
            return
        known = {"name": printable(path), **self._tally(self.fields[str(path)])}
        try:
            picture = data_uri(draw_boxes(path, cells, self.labels, self.positive))
            self.pictures.append(known | {"image": picture, "cells": self._surest(path, cells)})
        except UnreadableImageError as error:  # it was changed or deleted meanwhile
            self.pictures.append(known | {"image": None, "cells": [], "error": printable(error)})

    def _surest(self, path: AnyPath, cells: list[Prediction]) -> list[dict[str, Any]]:
        """The cells with the positive label, as images."""
        found = [
            (cell.probability, cell.box)
            for cell in cells
            if cell.label == self.positive and cell.probability is not None and cell.box
        ]
        found.sort(key=lambda one: -one[0])
        return [
            {"image": thumbnail(cut(open_field(path), box)), "probability": share, "box": str(box)}
            for share, box in found[:CELLS]
        ]

    def _tally(self, counts: FieldCounts) -> dict[str, Any]:
        known = tally(counts, self.labels, self.positive)
        return known | {"error": printable(counts.error) if counts.error else None}

    def _content(self) -> dict[str, Any]:
        every = list(self.fields.values())
        return {
            "title": f"Report on {_describe_count(len(every))}",
            "model_name": printable(self.classifier.name),
            "positive_label": printable(self.positive),
            "threshold": self.classifier.metadata.threshold if len(self.labels) == 2 else None,
            "time": datetime.now(timezone.utc),
            "all": self._tally(add_up(every)),
            "patients": [
                (f"{printable(name)}, {_describe_count(number)}", self._tally(counts))
                for name, counts, number in by_group(self.fields)
            ],
            "fields": [
                (printable(name[self._shared :]), self._tally(one))
                for name, one in self.fields.items()
            ],
            "pictures": self.pictures,
            "false_alarms": self._false_alarms(),
            "versions": {"Python": platform.python_version()} | loaded_versions(),
        }

    @property
    def _shared(self) -> int:
        """The length of the folder that all paths of fields begin with."""
        try:
            shared = os.path.commonpath([os.path.dirname(name) for name in self.fields])
        except ValueError:  # some are absolute, and others are not
            return 0
        return len(os.path.join(shared, "")) if shared else 0

    def _false_alarms(self) -> float | None:
        """The share of cells without the positive label that had it in the validation, if known."""
        validation = self.classifier.metadata.details.get("validation")
        specificity = validation.get("specificity") if isinstance(validation, dict) else None
        return 1 - specificity if isinstance(specificity, float) and 0 <= specificity <= 1 else None


def _describe_count(fields: int) -> str:
    return f"{fields:,} field{'' if fields == 1 else 's'}"
