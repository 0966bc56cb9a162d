"""writer: predictions -> a file of rows, resumable after an interruption."""

import hashlib
import json
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import groupby
from pathlib import Path

from malaria.base.errors import UserError
from malaria.base.files import open_own, whole_file
from malaria.base.lock import locked
from malaria.base.streams import log
from malaria.base.text import printable
from malaria.inference.prediction import Prediction
from malaria.outputs.formats import FORMATS, ending_of
from malaria.outputs.journal import NOT_SOUND, lines_of, to_prediction, to_row
from malaria.outputs.output import Output
from malaria.pictures.remote_path import AnyPath, real_name
from malaria.pictures.same_file import Seen


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
            for line in lines_of(file):
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
        seen = Seen()
        with open_own(self.partial, "rb") as file:
            for number, line in enumerate(lines_of(file), start=1):
                try:
                    row = json.loads(line.decode("ascii"))
                    prediction = to_prediction(row, self.labels, fields=self.fields)
                    if not seen.add(hash((prediction.path, prediction.box))):
                        raise ValueError  # it would be counted twice
                except NOT_SOUND:
                    raise UserError(
                        f"{self.partial} is damaged in line {number}: delete it to begin anew"
                    ) from None
                yield prediction

    def without_written(self, paths: Iterable[AnyPath]) -> Iterator[AnyPath]:
        """The paths without those that the interrupted run has rows of, however they are spelled.

        Rows come in the order of the paths. Where images came or went meanwhile, `ahead` holds the
        rows that were passed over; else it is empty, so that a list of millions takes no memory.
        """
        rows = (real_name(one.path) for one in self._read() if one.path)
        # A field has several rows, one after the other.
        written = (name for name, _ in groupby(rows)) if self.fields else rows
        ahead: set[str] = set()
        for path in paths:
            name = real_name(path)
            while name not in ahead and (row := next(written, None)):
                ahead.add(row)
            if name not in ahead:
                yield path
            ahead.discard(name)

    def add(self, prediction: Prediction) -> None:
        """Append one row, unless the interrupted run wrote it."""
        if self._repeated and self._repeated[0] == prediction.path:
            self._repeated.popleft()
            return
        row = to_row(prediction, self.labels, fields=self.fields)
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
            FORMATS[ending_of(self.path)](map(json.loads, lines), file, self.labels)
        self.partial.unlink()
        self._lock.close()
        log(f"saved {printable(self.path)}")


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None
