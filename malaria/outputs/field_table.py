"""field_table: the table of fields and patients, on stderr and beside --output."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from malaria.base.files import write_csv, write_json
from malaria.base.proportions import describe_share
from malaria.base.streams import log
from malaria.base.tables import align
from malaria.base.text import printable
from malaria.fields.field_counts import FieldCounts, add_up, by_group, tally
from malaria.inference.classifier import Classifier
from malaria.inference.prediction import Prediction
from malaria.outputs.output import Output

# At most this many fields are listed on stderr; the file has all.
LISTED = 30


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
