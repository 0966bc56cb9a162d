"""resume: the state of an unfinished training, kept on disk after each epoch."""

import json
import shutil
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from malaria.base.errors import UserError
from malaria.base.files import whole_file
from malaria.networks.backend import keras


@dataclass
class Progress:
    """How far a training has come. epoch: how many are done; best_*: of the epoch that is kept."""

    epoch: int = 0
    best_epoch: int = 0
    best_loss: float = float("inf")
    history: list = field(default_factory=list)
    best_weights: list | None = None

    def add(self, row, weights, keep="best"):
        """Count one more epoch, whose figures are `row`, and keep its weights if they are to be.

        keep: "best", those with the lowest validation loss, or "last".
        """
        self.epoch = row["epoch"]
        self.history.append(row)
        if keep == "last" or row["val_loss"] < self.best_loss:
            self.best_loss, self.best_epoch = row["val_loss"], row["epoch"]
            self.best_weights = weights

    def should_stop(self, patience):
        """Whether the validation loss has not fallen for `patience` epochs (None: go on)."""
        return patience is not None and self.epoch - self.best_epoch >= patience


class ResumePoint:
    """The state of one run below `folder`; runs of other settings have their own.

    identity: as Config.identity. A run only goes on with the images that it began with.
    """

    def __init__(self, folder, identity):
        self.path = Path(folder) / "resume" / identity / "state.npz"

    def check(self, *, resume):
        """Raise UserError if there is nothing to resume, or something that would be lost."""
        if resume and not self.path.exists():
            raise UserError(self._describe_absence())
        if self.path.exists() and not resume:
            raise UserError(
                "a training with these settings was interrupted: go on with --resume, or delete "
                f"{self.path.parent} to begin anew"
            )

    def save(self, progress, model, digest):
        """Write everything that the next epoch depends on, whole or not at all.

        digest: of what is trained on, as Data has it.
        """
        entries = asdict(replace(progress, best_weights=None))
        arrays = _number("state", [_to_numpy(variable) for variable in _state(model)])
        arrays |= _number("best", progress.best_weights or [])
        text = json.dumps({"progress": entries, "samples": digest})
        with whole_file(self.path) as temporary, open(temporary, "wb") as file:
            np.savez(file, description=np.array(text), **arrays)

    def load(self, model, digest):
        """Set the model as it was saved; return its Progress. Raises UserError if it cannot."""
        with np.load(self.path, allow_pickle=False) as arrays:
            description = json.loads(str(arrays["description"]))
            if description["samples"] != digest:
                raise UserError(
                    f"the images, or those excluded, have changed since {self.path} was written: "
                    "expected the same files to go on with; delete that folder to begin anew"
                )
            for number, variable in enumerate(_state(model)):
                variable.assign(arrays[f"state{number:04}"])
            best = [arrays[name] for name in sorted(arrays) if name.startswith("best")]
        return Progress(**description["progress"] | {"best_weights": best or None})

    def _describe_absence(self):
        others = sorted(path.parent.name for path in self.path.parent.parent.glob("*/state.npz"))
        found = f"found others, of other settings: {', '.join(others)}" if others else "found none"
        return f"nothing to resume: expected {self.path}; {found}; start without --resume"

    def remove(self):
        """Forget the state; also the folder around it, if no other run is kept there."""
        shutil.rmtree(self.path.parent, ignore_errors=True)
        if self.path.parent.parent.is_dir() and not any(self.path.parent.parent.iterdir()):
            self.path.parent.parent.rmdir()


def _state(model):
    """Weights, the seeds of the dropout layers, and the optimizer's variables, in a fixed order."""
    return [*model.variables, *model.optimizer.variables]


def _to_numpy(variable):
    # By way of a tensor: Keras converts a variable in a manner that numpy 2 warns of.
    return keras.ops.convert_to_tensor(variable).numpy()


def _number(prefix, arrays):
    return {f"{prefix}{number:04}": array for number, array in enumerate(arrays)}
