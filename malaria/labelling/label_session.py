"""label_session: the labels of the cells that were chosen, and what is done at each press."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from malaria.base.text import printable
from malaria.inference.prediction import Prediction
from malaria.inference.trained_model import TrainedModel
from malaria.labelling.choose_cells import Chosen, can_be_labelled, choose_cells
from malaria.labelling.label_table import (
    NO_CELL,
    SKIPPED,
    Key,
    LabelRow,
    check_labels,
    key_of,
    read_labels,
    write_labels,
)

# Engines differ by less; a row with another probability was chosen with another model.
SAME = 1e-3


class Change(NamedTuple):
    """A press: the cell, its label before, as the page knew it, and from now on.

    None: no label, and SKIPPED: none on purpose.
    """

    number: int
    before: str | None
    after: str | None


class LabelSession:
    """All cells, those chosen to be labelled, and the table of labels; for several threads.

    cells: {key: the Prediction} of all that were classified. chosen: those shown, by number.
    """

    def __init__(
        self,
        cells: Iterable[Prediction],
        model: TrainedModel,
        table: Path,
        *,
        who: str,
        count: int,
        seed: int = 0,
    ) -> None:
        """Raises UserError for a table that cannot be read, or that has other labels."""
        self.model, self.table, self.who = model, table, who
        known = [(one.path, one) for one in cells if can_be_labelled(one)]
        self.cells = {key_of(path, one.box): one for path, one in known if path is not None}
        self.rows = read_labels(table) if table.exists() else {}
        check_labels(table, self.our_rows(), model.metadata.labels)
        keys = list(self.cells)
        kept = {
            place: self.rows[key].why
            for place, key in enumerate(keys)
            if key in self.rows and self._is_same(self.rows[key], self.cells[key])
        }
        every = list(self.cells.values())
        self.chosen = choose_cells(every, model, count=count, seed=seed, labelled=kept)
        places = {id(one): key for one, key in zip(every, keys, strict=True)}
        self._keys: list[Key] = [places[id(one.cell)] for one in self.chosen]
        self._lock = Lock()
        # The numbers of the cells whose label changed, in turn: whoever knows the first n of them
        # is told of the others.
        self._changed = [n for n, key in enumerate(self._keys) if key in self.rows]
        for number in self._changed:
            # What it stands for has changed where more cells are drawn now.
            row = self.rows[self._keys[number]]
            self.rows[row.key] = row._replace(**self._reason(self.chosen[number]))

    def our_rows(self) -> list[LabelRow]:
        """The rows of the table whose cells are among ours."""
        return [row for key, row in self.rows.items() if key in self.cells]

    def apply(self, changes: Sequence[Change]) -> list[int]:
        """Change labels and write the table; returns the cells that were not as the page knew them.

        These stay as they are: somebody has labelled them in another window. Raises UserError where
        the table cannot be written, and then nothing is changed.
        """
        with self._lock:
            rows, done, refused = dict(self.rows), [], []
            for number, before, after in changes:
                key = self._keys[number]
                if (rows[key].label if key in rows else None) != before:
                    refused.append(number)
                    continue
                rows.pop(key, None)
                if after is not None:
                    rows[key] = self._row(self.chosen[number], after)
                done.append(number)
            if done:
                write_labels(self.table, rows.values())
                self.rows = rows
                self._changed += done
            return refused

    def since(self, version: int) -> dict[str, Any]:
        """{"version": the present one, "labels": {number: label} of what has changed since}."""
        with self._lock:
            keys = {number: self._keys[number] for number in self._changed[max(0, version) :]}
            labels = {
                n: self.rows[key].label if key in self.rows else None for n, key in keys.items()
            }
            return {"version": len(self._changed), "labels": labels}

    @property
    def notes(self) -> list[str]:
        """A line about the rows of the table, if it was there."""
        if not self.rows:
            return []
        ours, name = len(self.our_rows()), printable(self.table)
        if ours == len(self.rows):
            return [f"{name} has {ours:,} labels already: going on"]
        others = len(self.rows) - ours
        return [
            f"{name} has {len(self.rows):,} labels, and {others:,} of cells that are not among "
            "these: they are kept, and count nowhere here"
        ]

    @property
    def count(self) -> int:
        """How many of the chosen cells have a label, or were skipped."""
        return sum(key in self.rows for key in self._keys)

    def close(self) -> None:
        """Take no more labels; a table that is being written is finished first."""
        self._lock.acquire()

    @property
    def answers(self) -> tuple[str, ...]:
        """Every label that a cell may get."""
        return (*self.model.metadata.labels, NO_CELL, SKIPPED)

    def pairs(self) -> list[tuple[LabelRow, Prediction]]:
        """Our rows with the answers of the model as it is now."""
        with self._lock:
            return [(row, self.cells[row.key]) for row in self.our_rows()]

    def _row(self, chosen: Chosen, label: str) -> LabelRow:
        cell, now = chosen.cell, datetime.now(timezone.utc)
        assert cell.path is not None, "chosen cells are of files"
        when = now.isoformat(timespec="seconds").replace("+00:00", "Z")
        known = cell.path, cell.box, label, cell.group, self.who, when
        return LabelRow(*known, **self._reason(chosen))

    def _reason(self, chosen: Chosen) -> dict[str, Any]:
        return {
            "why": chosen.why,
            "called": chosen.cell.label or "",
            "probability": self._probability(chosen.cell),
            "stands_for": chosen.stands_for,
        }

    def _probability(self, cell: Prediction) -> float | None:
        return cell.probabilities[self.model.metadata.positive] if cell.probabilities else None

    def _is_same(self, row: LabelRow, cell: Prediction) -> bool:
        """Whether the row was chosen with this model."""
        probability = self._probability(cell)
        both = row.probability is not None and probability is not None
        is_near = both and abs((row.probability or 0) - (probability or 0)) < SAME
        return row.called == cell.label and is_near
