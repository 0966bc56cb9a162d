"""field_report: the parasitaemia of fields, as a table and as one HTML file with their boxes."""

from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

from malaria.base.files import write_csv, write_json
from malaria.base.proportions import describe_share
from malaria.base.streams import log
from malaria.base.text import align, printable
from malaria.fields.field_counts import FieldCounts, add_up, by_group, tally
from malaria.fields.find_cells import cut
from malaria.inference.classifier import Classifier
from malaria.inference.prediction import Prediction
from malaria.outputs.field_pictures import draw_boxes, open_field
from malaria.outputs.formats import table_beside
from malaria.outputs.html_parts import data_uri, thumbnail, write_page
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
        self.table = table_beside(output) if output else None
        self.fields: dict[str, FieldCounts] = {}

    def add(self, prediction: Prediction) -> None:
        """Count one cell in its field."""
        self.fields.setdefault(str(prediction.path), FieldCounts()).add(prediction)

    def finish(self) -> None:
        """Print the table and write it. Raises UserError if it cannot be written."""
        rows = list(self._rows())
        log(self._describe(rows))
        if self.table is None:
            return
        if self.table.suffix.lower() == ".csv":
            write_csv(self.table, list(rows[0]), [list(row.values()) for row in rows])
        else:
            write_json(self.table, rows)
        log(f"saved {printable(self.table)}")

    def _tally(self, counts: FieldCounts) -> dict[str, Any]:
        return tally(counts, self.labels, self.positive)

    def _rows(self) -> Iterator[dict[str, Any]]:
        every = list(self.fields.values())
        for level, name, number, counts in (
            *(("field", path, 1, one) for path, one in self.fields.items()),
            *(("patient", name, number, one) for name, one, number in by_group(self.fields)),
            ("all", None, len(every), add_up(every)),
        ):
            known = {"level": level, "name": name, "patient": counts.group, "fields": number}
            yield known | self._tally(counts)

    def _describe(self, rows: list[dict[str, Any]]) -> str:
        fields = [row for row in rows if row["level"] == "field"]
        shown = fields[:LISTED] + [row for row in rows if row["level"] != "field"]
        head = ["field or patient", "red cells", self.positive, "parasitaemia [95 % interval]"]
        more = [f"and {len(fields) - LISTED:,} more fields"] if len(fields) > LISTED else []
        return "\n".join([align([head, *map(_cells, shown)]), *more])


def _cells(row: dict[str, Any]) -> list[str]:
    every = "1 field" if row["fields"] == 1 else f"all {row['fields']:,} fields"
    names = {"field": row["name"], "patient": f"patient {row['name']}", "all": every}
    name = names[row["level"]]
    if row["error"] is not None:
        return [name, "-", "-", row["error"]]
    cells, positive = row["red cells"], row["positive"]
    return [name, f"{cells:,}", f"{positive:,}", describe_share(positive, cells)]


class FieldReport(FieldTable):
    """The table, and the page of --report. It holds the cells of one field at a time."""

    def __init__(self, classifier: Classifier, output: Path | None, page: Path) -> None:
        super().__init__(classifier, output)
        self.page, self.classifier = page, classifier
        self.pictures: list[dict[str, Any]] = []
        self.waiting: list[Prediction] = []

    def add(self, prediction: Prediction) -> None:
        """Keep one cell until its field is whole."""
        if self.waiting and self.waiting[-1].path != prediction.path:
            self._finish_field()
        self.waiting.append(prediction)
        super().add(prediction)

    def finish(self) -> None:
        """Write the table and the page. Raises UserError if they cannot be written."""
        super().finish()
        if self.waiting:
            self._finish_field()
        write_page(self.page, "field_report.html", self._content())
        log(f"saved {printable(self.page)}")

    def _finish_field(self) -> None:
        cells, self.waiting = self.waiting, []
        path = cells[0].path
        if len(self.pictures) >= SHOWN or path is None or cells[0].box is None:
            return
        known = {"name": path, "image": None, "cells": [], **self._tally(self.fields[str(path)])}
        try:
            known["image"] = data_uri(draw_boxes(path, cells, self.labels, self.positive))
            known["cells"] = self._surest(path, cells)
        except UnreadableImageError as error:  # it was changed or deleted meanwhile
            known["error"] = error
        self.pictures.append(known)

    def _surest(self, path: AnyPath, cells: list[Prediction]) -> list[dict[str, Any]]:
        found = [cell for cell in cells if cell.label == self.positive]
        found.sort(key=lambda cell: -(cell.probability or 0))
        return [
            {"image": thumbnail(cut(open_field(path), cell.box)), "cell": cell}
            for cell in found[:CELLS]
            if cell.box
        ]

    def _content(self) -> dict[str, Any]:
        every = list(self.fields.values())
        # The folders that all paths of fields begin with are not shown.
        folders = zip(*(name.split("/")[:-1] for name in self.fields), strict=False)
        same = takewhile(lambda names: len(set(names)) == 1, folders)
        shared = sum(len(names[0]) + 1 for names in same)
        return {
            "title": f"Report on {_describe_count(len(every))}",
            "model_name": printable(self.classifier.name),
            "notes": self.notes,
            "positive_label": printable(self.positive),
            "threshold": self.classifier.metadata.threshold if len(self.labels) == 2 else None,
            "all": self._tally(add_up(every)),
            "patients": [
                (f"{name}, {_describe_count(number)}", self._tally(counts))
                for name, counts, number in by_group(self.fields)
            ],
            "fields": [(name[shared:], self._tally(one)) for name, one in self.fields.items()],
            "pictures": self.pictures,
            "not_shown": self._describe_not_shown(),
            "false_alarms": self._false_alarms(),
        }

    def _describe_not_shown(self) -> str:
        """Which fields the page has no picture of, and why; empty if it has all."""
        empty = sum(one.error is not None for one in self.fields.values())
        parts, shown = [], len(self.pictures)
        if shown < len(self.fields) - empty:
            parts.append(f"Only the first {shown} fields with cells are shown.")
        if empty:
            which = f"{_describe_count(empty)} {'has' if empty == 1 else 'have'}"
            parts.append(f"{which} no cells to show: the table says why.")
        return " ".join(parts)

    def _false_alarms(self) -> float | None:
        """The share of cells without the positive label that had it in the validation, if known."""
        validation = self.classifier.metadata.details.get("validation")
        specificity = validation.get("specificity") if isinstance(validation, dict) else None
        return 1 - specificity if isinstance(specificity, float) and 0 <= specificity <= 1 else None


def _describe_count(fields: int) -> str:
    return f"{fields:,} field{'' if fields == 1 else 's'}"
