"""checkpoint: the state of an unfinished training, kept on disk after each epoch."""

import json
import shutil
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from malaria.base.errors import UserError
from malaria.base.files import make_folder, whole_file
from malaria.base.lock import locked
from malaria.networks.backend import keras

# One epoch of a training: epoch (from 1), loss, accuracy, val_loss, val_accuracy, learning_rate,
# seconds.
Row = dict[str, float]


@dataclass
class Progress:
    """How far a training has come.

    epoch: how many are done. best_epoch, best_loss, best_weights: of the epoch whose weights are
    kept; the loss is of the validation. arithmetic: what it computes in (Device.arithmetic).
    """

    epoch: int = 0
    best_epoch: int = 0
    best_loss: float = float("inf")
    history: list[Row] = field(default_factory=list)
    best_weights: list[np.ndarray] | None = None
    arithmetic: dict[str, Any] | None = None

    def add(self, row: Row, weights: list[np.ndarray], keep: str = "best") -> None:
        """Count one more epoch, after which the model has these weights.

        keep: "best" to keep those with the lowest validation loss, "last" to keep these.
        """
        self.epoch = int(row["epoch"])
        self.history.append(row)
        if keep == "last" or row["val_loss"] < self.best_loss:
            self.best_loss, self.best_epoch = row["val_loss"], self.epoch
            self.best_weights = weights

    def should_stop(self, patience: int | None) -> bool:
        """Whether no weights were kept in the last `patience` epochs; None: never stop."""
        return patience is not None and self.epoch - self.best_epoch >= patience


class ResumePoint:
    """Where below `folder` the state of one run is kept; runs of other settings have their own.

    A run can only be resumed with the images with which it began.
    """

    def __init__(self, folder: Path | str, identity: str) -> None:
        self.path = Path(folder) / "resume" / identity / "state.npz"

    def check(self, *, resume: bool) -> None:
        """Raise UserError for nothing to resume, or a state that a new run would replace."""
        if resume and not self.path.exists():
            states = sorted(self.path.parent.parent.glob("*/state.npz"))
            others = ", ".join(path.parent.name for path in states)
            found = f"others, of other settings: {others}" if others else "none"
            raise UserError(
                f"nothing to resume: expected {self.path}; found {found}; start without --resume"
            )
        if self.path.exists() and not resume:
            raise UserError(
                "a training with these settings was interrupted: go on with --resume, or delete "
                f"{self.path.parent} to begin anew"
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from this run while the block runs. Raises UserError."""
        folder = self.path.parent
        lock = folder.with_name(f"{folder.name}.lock")
        make_folder(folder.parent, folder.parents[1])
        try:
            with locked(lock, f"{folder.parent.parent}: these settings are being trained"):
                yield
        finally:
            with suppress(OSError):  # they are not empty
                folder.parent.rmdir()
                folder.parent.parent.rmdir()

    def save(self, progress: Progress, model: keras.Model, digest: str) -> None:
        """Write everything that the next epoch depends on, whole or not at all.

        digest: of the images, as LabelledImages.digest. Raises UserError if it cannot be written.
        """
        entries = asdict(replace(progress, best_weights=None))
        # Through a tensor: the way in which Keras converts a variable makes numpy 2 warn.
        state = [keras.ops.convert_to_tensor(one).numpy() for one in _state(model)]
        arrays = _number("state", state) | _number("best", progress.best_weights or [])
        text = json.dumps({"progress": entries, "samples": digest})
        make_folder(self.path.parent, self.path.parents[2])
        with whole_file(self.path) as temporary, open(temporary, "wb") as file:
            np.savez(file, description=np.array(text), **arrays)

    def load(self, model: keras.Model, digest: str) -> Progress:
        """Put the model into the state that was saved; return the Progress.

        digest: as in `save`. Raises UserError if it is another one: the images have changed.
        """
        try:
            with np.load(self.path, allow_pickle=False) as arrays:
                description = json.loads(str(arrays["description"]))
                if description["samples"] != digest:
                    raise UserError(
                        f"the images, or those excluded, have changed since {self.path} was "
                        "written: expected the same files to go on with; delete that folder to "
                        "begin anew"
                    )
                for number, variable in enumerate(_state(model)):
                    variable.assign(arrays[f"state{number:04}"])
                best = [arrays[name] for name in sorted(arrays) if name.startswith("best")]
            return Progress(**description["progress"] | {"best_weights": best or None})
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise UserError(
                f"{self.path} is damaged ({type(error).__name__}): delete {self.path.parent} to "
                "begin anew"
            ) from None

    def remove(self) -> None:
        """Delete the state; also the folder around it, if no other run is kept there."""
        shutil.rmtree(self.path.parent, ignore_errors=True)
        with suppress(OSError):
            # While this run is locked the lock is there too, and `locked` removes both.
            self.path.parent.parent.rmdir()


def _state(model: keras.Model) -> list[Any]:
    """Weights, the seeds of the dropout layers, and the optimizer's variables, in a fixed order."""
    return [*model.variables, *model.optimizer.variables]


def _number(prefix: str, arrays: Iterable[np.ndarray]) -> dict[str, Any]:
    return {f"{prefix}{number:04}": array for number, array in enumerate(arrays)}


class ReadOnlyResumePoint(ResumePoint):
    """The state of a run for the workers that do not write it."""

    def save(self, progress: Progress, model: keras.Model, digest: str) -> None:
        """Leave it to the first worker."""
