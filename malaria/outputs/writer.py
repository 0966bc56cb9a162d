"""writer: predictions -> a file of rows, resumable after an interruption."""

import hashlib
import json
import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import astuple
from itertools import groupby
from pathlib import Path
from typing import IO, Any

from malaria.base.errors import UserError
from malaria.base.files import open_own, whole_file
from malaria.base.lock import locked
from malaria.base.streams import log
from malaria.base.text import printable
from malaria.inference.predict import are_probabilities
from malaria.inference.prediction import REVIEW, UNLIKE, Prediction
from malaria.outputs.formats import FORMATS
from malaria.outputs.output import Output
from malaria.pictures.box import Box
from malaria.pictures.remote_path import AnyPath, real_name, to_path

# Of a row of an interrupted run, in bytes: none of ours is longer, and none may fill the memory.
LONGEST = 1_000_000
NO_BOX = Box(0, 0, 0, 0)


class Writer(Output):
    """The rows of --output. They are kept in FILE.<digits>.partial until they become FILE.

    path: its ending says which of formats.FORMATS it is written in. source: what is classified,
    the same text for the same images. model: a digest of the model, its threshold and its labels.
    No file mixes two sources or models. fields: an image has a row for each of its cells, and an
    interrupted run goes on with the last image that has one. Raises UserError.
    """

    def __init__(
        self,
        path: Path,
        *,
        source: str,
        labels: Sequence[str],
        model: str,
        resume: bool,
        fields: bool = False,
    ) -> None:
        self.path, self.labels, self.fields = path, labels, fields
        digits = hashlib.sha256(os.fsencode(source) + model.encode()).hexdigest()
        self.partial = path.with_name(f"{path.name}.{digits[:12]}.partial")
        # What `earlier` gave and `add` has not seen yet: a few, however many rows there are.
        self._repeated: deque[AnyPath | None] = deque()
        lock = path.with_name(f".{path.name}.lock")
        with ExitStack() as begun:
            begun.enter_context(locked(lock, f"{path} is being written"))
            if self.partial.exists() and not resume:
                raise UserError(
                    f"{path} was interrupted: go on with --resume, or delete {self.partial}"
                )
            with _writing(self.partial):
                path.parent.mkdir(parents=True, exist_ok=True)
                self._cut_torn_row()
                # Line by line, so that a crash loses no row that was told.
                self.file = open_own(self.partial, "a", buffering=1, encoding="ascii")
            self._lock = begun.pop_all()

    def _cut_torn_row(self) -> None:
        """Drop what an interruption left of the last row, and of the last field."""
        with open_own(self.partial, "rb+") as file:
            whole, field, field_start = 0, None, 0
            for line in _lines_of(file):
                if not line.endswith(b"\n"):
                    break
                if self.fields and (path := line.partition(b', "label": ')[0]) != field:
                    field, field_start = path, whole
                whole += len(line)
            file.truncate(field_start if self.fields else whole)

    def earlier(self) -> Iterator[Prediction]:
        """Yield the Predictions of the interrupted run, which `add` does not write again."""
        for prediction in self._read():
            self._repeated.append(prediction.path)
            yield prediction

    def _read(self) -> Iterator[Prediction]:
        with open_own(self.partial, "rb") as file:
            for number, line in enumerate(_lines_of(file), start=1):
                try:
                    prediction = self._check(json.loads(line))
                except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
                    raise UserError(
                        f"{self.partial} is damaged in line {number}: delete it to begin anew"
                    ) from None
                yield prediction

    def _check(self, row: dict[str, Any]) -> Prediction:
        """The Prediction of a row that `add` may have written; ValueError and others of another."""
        one = _to_prediction(row)
        known, texts = one.probabilities or (), (one.label, one.error, one.unlike)
        of_label = dict(zip(self.labels, known, strict=False)).get(one.label or "")
        is_sound = (
            # Nothing is missing, and nothing else is there.
            row == _to_row(one, self.labels, fields=self.fields)
            and b"\0" not in os.fsencode(row["path"])
            and all(isinstance(text, str) for text in texts if text is not None)
            and one.label in (*self.labels, REVIEW, UNLIKE, None)
            and all(isinstance(number, float) for number in known)
            and one.probability in ((known or (None,)) if of_label is None else (of_label,))
            and (are_probabilities(known), one.label is None) == (one.error is None, not known)
            and (one.box is not None) >= (self.fields and one.label is not None)
            and all(type(side) is int and side >= 0 for side in astuple(one.box or NO_BOX))
        )
        if not is_sound:
            raise ValueError
        return one

    def without_written(self, paths: Iterable[AnyPath]) -> Iterator[AnyPath]:
        """The paths without those that the interrupted run has rows of, however they are spelled.

        Rows come in the order of the paths. Where images came or went meanwhile, `ahead` holds the
        rows that were passed over; else it is empty, so that a list of millions takes no memory.
        """
        rows = (real_name(one.path) for one in self._read() if one.path)
        # A field has several rows, one after the other.
        written = (name for name, _ in groupby(rows)) if self.fields else rows
        ahead: Counter[str] = Counter()
        for path in paths:
            name = real_name(path)
            while name not in ahead and (row := next(written, None)):
                ahead[row] += 1
            count = ahead.pop(name, 0)
            if not count:
                yield path
            elif count > 1:
                ahead[name] = count - 1

    def add(self, prediction: Prediction) -> None:
        """Append one row, unless the interrupted run wrote it."""
        if self._repeated and self._repeated[0] == prediction.path:
            self._repeated.popleft()
            return
        row = _to_row(prediction, self.labels, fields=self.fields)
        with _writing(self.partial):
            self.file.write(json.dumps(row) + "\n")

    def close(self) -> None:
        """Leave the rows, if there are any, for a later --resume."""
        with self._lock:
            with _writing(self.partial):
                self.file.close()
            with suppress(OSError):  # it has become the file that was asked for
                if self.partial.stat().st_size == 0:
                    self.partial.unlink()

    def finish(self) -> None:
        """Turn the rows into the file that was asked for, whole or not at all."""
        with _writing(self.partial):
            self.file.close()
        with (
            open_own(self.partial, "r", encoding="ascii") as lines,
            whole_file(self.path) as temporary,
            open(temporary, "w", newline="", encoding="utf-8", errors="backslashreplace") as file,
        ):
            FORMATS[self.path.suffix.lower()](map(json.loads, lines), file, self.labels)
        self.partial.unlink()
        self._lock.close()
        log(f"saved {printable(self.path)}")


def _lines_of(file: IO[bytes]) -> Iterator[bytes]:
    for line in iter(lambda: file.readline(LONGEST), b""):
        if len(line) == LONGEST:
            raise UserError(f"{file.name} is damaged: delete it to begin anew")
        yield line


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None


def _to_row(prediction: Prediction, labels: Sequence[str], *, fields: bool) -> dict[str, Any]:
    known, box = prediction.probabilities, prediction.box
    return {
        "path": str(prediction.path),
        "label": prediction.label,
        "probability": prediction.probability,
        "probabilities": dict(zip(labels, known, strict=True)) if known is not None else None,
        "unlike": prediction.unlike,
        "note": prediction.note,
        "error": prediction.error,
        **({"box": list(astuple(box)) if box else None} if fields else {}),
    }


def _to_prediction(row: dict[str, Any]) -> Prediction:
    known = row["probabilities"]
    return Prediction(
        to_path(row["path"]),
        row["label"],
        row["probability"],
        tuple(known.values()) if known else None,
        row["error"],
        unlike=row["unlike"],
        note=row.get("note"),
        box=Box(*row["box"]) if row.get("box") else None,
    )
