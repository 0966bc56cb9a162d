"""field_report: the parasitaemia of fields, as a table and as one HTML file with their boxes."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from malaria.base.files import write_csv, write_json
from malaria.base.streams import log
from malaria.base.text import printable
from malaria.evaluation.parasitaemia import Accuracy
from malaria.fields.field_counts import FieldCounts, by_group, tally
from malaria.fields.headline import describe_row, describe_rows, explain, headline
from malaria.inference.classifier import Classifier
from malaria.inference.prediction import Prediction
from malaria.outputs.field_boxes import KINDS, Kind, describe_field
from malaria.outputs.field_by_field import FieldByField
from malaria.outputs.formats import table_beside
from malaria.outputs.html_parts import write_page
from malaria.pictures.images import UnreadableImageError

# At most this many fields are shown, about 150 KB each; the others have a row in the table.
SHOWN = 200


class FieldTable(FieldByField):
    """Parasitaemia by patient, by field and in all."""

    def __init__(
        self,
        classifier: Classifier,
        output: Path | None,
        *,
        red_cells: float | None = None,
        white_cells: float | None = None,
    ) -> None:
        """output: the file of --output, beside which the table is written; None: it is not.

        red_cells, white_cells: per microlitre of blood; one of them at most.
        """
        super().__init__()
        self.classifier = classifier
        self.per_microlitre = {"red_cells": red_cells, "white_cells": white_cells}
        self.labels = classifier.metadata.labels
        self.positive = classifier.metadata.positive_label
        self.accuracy = classifier.accuracy()
        self.table = table_beside(output) if output else None
        self.fields: dict[str, FieldCounts] = {}

    def add_field(self, cells: Sequence[Prediction]) -> None:
        """Count the cells of one field."""
        counts = self.fields.setdefault(str(cells[0].path), FieldCounts())
        for cell in cells:
            counts.add(cell, self.classifier)

    def finish(self) -> None:
        """Print the table and write it. Raises UserError if it cannot be written."""
        super().finish()
        rows = self.rows
        told = rows[-1]["warning"], headline(rows[-1], self.positive), *self._explain(rows[-1])
        is_corrected = isinstance(self.accuracy, Accuracy)
        table = describe_rows(rows, self.positive, is_corrected=is_corrected)
        log("\n".join([*filter(None, told), *table]))
        if self.table is None:
            return
        if self.table.suffix.lower() == ".csv":
            write_csv(self.table, list(rows[0]), [list(row.values()) for row in rows])
        else:
            write_json(self.table, rows)
        log(f"saved {printable(self.table)}")

    def _tally(self, *fields: FieldCounts) -> dict[str, Any]:
        accuracy = self.accuracy if isinstance(self.accuracy, Accuracy) else None
        known = self.classifier.metadata
        return tally(fields, known, accuracy=accuracy, **self.per_microlitre)

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """Of each patient, each field and all, once every cell was added."""
        return list(self._rows())

    def _rows(self) -> Iterator[dict[str, Any]]:
        every = list(self.fields.values())
        warning = self._tally(*every)["warning"]
        for level, name, counts in (
            *(("patient", *one) for one in by_group(self.fields)),
            *(("field", path, [one]) for path, one in self.fields.items()),
            ("all", None, every),
        ):
            group = counts[0].group if level == "field" else None
            known = {"level": level, "name": name, "patient": group, "fields": len(counts)}
            row = known | self._tally(*counts)
            # What holds of all holds of each, though few cells may not show it.
            yield row | {"warning": row["warning"] or warning}

    def _explain(self, row: dict[str, Any]) -> list[str]:
        fields = sum(one.labels.total() > 0 for one in self.fields.values())
        return list(explain(row, fields, self.positive, self.accuracy))


class FieldReport(FieldTable):
    """The table, and the page of --report."""

    def __init__(
        self,
        classifier: Classifier,
        output: Path | None,
        page: Path,
        **per_microlitre: float | None,
    ) -> None:
        super().__init__(classifier, output, **per_microlitre)
        self.page, self.shown = page, 0
        self.counts: Counter[str] = Counter()

    @cached_property
    def kept(self) -> IO[str]:
        """A line of JSON for each field that is shown, on the disk until the page is written."""
        return TemporaryFile("w+", encoding="utf-8")

    def add_field(self, cells: Sequence[Prediction]) -> None:
        """Count the cells of one field, and keep what the page shows of it."""
        super().add_field(cells)
        path = cells[0].path
        if self.shown >= SHOWN or path is None or cells[0].box is None:
            return
        try:
            known = describe_field(self.shown, path, cells, self.classifier)
            self.counts += known["counts"]
        except UnreadableImageError as error:  # it was changed or deleted meanwhile
            known = {"image": None, "in doubt": 0, "failure": str(error)}
        self.shown += 1
        self.kept.write(json.dumps({"name": str(path), "failure": None, **known}) + "\n")

    def finish(self) -> None:
        """Write the table and the page. Raises UserError if they cannot be written."""
        super().finish()
        write_page(self.page, "field_report.html", self._content())
        log(f"saved {printable(self.page)}")

    def close(self) -> None:
        """Delete what was kept."""
        self.kept.close()

    def _content(self) -> dict[str, Any]:
        rows = self.rows
        fields = {row["name"]: row for row in rows if row["level"] == "field"}
        # The folders that all paths of fields begin with are not shown.
        folders = zip(*(name.split("/")[:-1] for name in fields), strict=False)
        same = takewhile(lambda names: len(set(names)) == 1, folders)
        shared = sum(len(names[0]) + 1 for names in same)
        return {
            "title": f"Report on {_describe_count(len(fields))}",
            "model_name": printable(self.classifier.name),
            "notes": self.notes,
            "positive_label": printable(self.positive),
            "threshold": self.classifier.metadata.threshold if len(self.labels) == 2 else None,
            "all": rows[-1],
            "headline": headline(rows[-1], self.positive),
            "explained": self._explain(rows[-1]),
            "describe_row": describe_row,
            "patients": [
                (f"{row['name']}, {_describe_count(row['fields'])}", row)
                for row in rows
                if row["level"] == "patient"
            ],
            "fields": [(name[shared:], row) for name, row in fields.items()],
            "kinds": self._kinds(),
            "shown": self.shown,
            "pictures": self._pictures(fields, shared),
            "not_shown": self._describe_not_shown(),
        }

    def _kinds(self) -> dict[str, tuple[Kind, str, int]]:
        """{name: (Kind, its text, how many boxes)} of those on the page."""
        others = [printable(label) for label in self.labels if label != self.positive]
        words = {"positive": printable(self.positive), "other": " or ".join(others)}
        return {
            name: (kind, kind.text.format(**words), self.counts[name])
            for name, kind in KINDS.items()
            if self.counts[name]
        }

    def _pictures(self, rows: dict[str, dict[str, Any]], shared: int) -> Iterator[dict[str, Any]]:
        self.kept.seek(0)
        for known in map(json.loads, self.kept):
            yield {"row": rows[known["name"]], **known, "name": known["name"][shared:]}

    def _describe_not_shown(self) -> str:
        """Which fields the page has no picture of, and why; empty if it has all."""
        empty = sum(one.error is not None for one in self.fields.values())
        parts, shown = [], self.shown
        if shown < len(self.fields) - empty:
            parts.append(f"Only the first {shown} fields with cells are shown.")
        if empty:
            which = f"{_describe_count(empty)} {'has' if empty == 1 else 'have'}"
            parts.append(f"{which} no cells to show: the table says why.")
        return " ".join(parts)


def _describe_count(fields: int) -> str:
    return f"{fields:,} field{'' if fields == 1 else 's'}"
