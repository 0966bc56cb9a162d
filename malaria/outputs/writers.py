"""journal: predictions -> a .csv, .json or .jsonl, row by row, resumable after an interruption."""

import csv
import hashlib
import json
import os
from contextlib import contextmanager
from pathlib import Path

from malaria.base.errors import UserError
from malaria.base.files import safe_cell, whole_file
from malaria.inference.predict import Prediction

# So many rows are lost at most when the power goes, and then computed again.
FLUSH_EVERY = 32


class Journal:
    """The rows of --output. They are kept in FILE.<digits>.partial until they become FILE.

    labels: of the model. model: digits that tell this model, its threshold and its labels from
    others; source: what is classified. No file mixes two of them.
    """

    def __init__(self, path, *, source, labels, model, resume):
        self.path, self.labels = Path(path), labels
        digits = hashlib.sha256(os.fsencode(os.path.realpath(source)) + model.encode()).hexdigest()
        self.partial = self.path.with_name(f"{self.path.name}.{digits[:12]}.partial")
        self.count = 0
        if self.partial.exists() and not resume:
            raise UserError(
                f"{self.path} was interrupted: go on with --resume, or delete {self.partial}"
            )
        with _writing(self.partial):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._cut_torn_row()
            self.file = open(self.partial, "a", encoding="ascii")  # noqa: SIM115  until finish

    def _cut_torn_row(self):
        """Drop what an interruption left of the last row."""
        self.partial.touch()
        with open(self.partial, "rb+") as file:
            whole = sum(len(line) for line in file if line.endswith(b"\n"))
            file.truncate(whole)

    def earlier(self):
        """Yield the Predictions of the interrupted run."""
        with open(self.partial, encoding="ascii") as file:
            for line in file:
                yield _to_prediction(json.loads(line))

    def add(self, prediction):
        """Append one row."""
        self.count += 1
        with _writing(self.partial):
            self.file.write(json.dumps(_to_row(prediction, self.labels)) + "\n")
            if self.count % FLUSH_EVERY == 0:
                self.file.flush()

    def close(self):
        """Leave the rows for a later --resume."""
        with _writing(self.partial):
            self.file.close()

    def finish(self):
        """Turn the rows into the file that was asked for, whole or not at all."""
        self.close()
        write = {".csv": _write_csv, ".json": _write_json, ".jsonl": _write_lines}
        with (
            open(self.partial, encoding="ascii") as rows,
            whole_file(self.path) as temporary,
            open(temporary, "w", newline="", encoding="utf-8", errors="backslashreplace") as file,
        ):
            write[self.path.suffix.lower()](rows, file, self.labels)
        self.partial.unlink()


@contextmanager
def _writing(path):
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None


def _to_row(prediction, labels):
    known = prediction.probabilities is not None
    return {
        "path": str(prediction.path),
        "label": prediction.label,
        "probability": prediction.probability,
        "probabilities": dict(zip(labels, prediction.probabilities, strict=True))
        if known
        else None,
        "error": prediction.error,
    }


def _to_prediction(row):
    known = row["probabilities"]
    return Prediction(
        Path(row["path"]),
        row["label"],
        row["probability"],
        tuple(known.values()) if known else None,
        row["error"],
    )


def _write_csv(rows, file, labels):
    """One line a picture; no name becomes a formula."""
    writer = csv.writer(file)
    header = [
        "path",
        "label",
        "probability",
        *(f"probability of {name}" for name in labels),
        "error",
    ]
    writer.writerow([safe_cell(name) for name in header])
    for line in rows:
        row = json.loads(line)
        each = row["probabilities"] or dict.fromkeys(labels)
        cells = [row["path"], row["label"], row["probability"], *each.values(), row["error"]]
        writer.writerow([safe_cell(cell) for cell in cells])


def _write_json(rows, file, _):
    """One array, an object a picture."""
    file.write("[")
    for number, line in enumerate(rows):
        file.write((",\n" if number else "\n") + line.rstrip("\n"))
    file.write("\n]\n")


def _write_lines(rows, file, _):
    file.writelines(rows)
