"""folds: cross-validation, where each image is judged by a network that never saw its patient."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from malaria.base.errors import UsageError, UserError
from malaria.base.files import whole_file, write_text
from malaria.cli.command import say
from malaria.data.loading import describe_sides, load_folds
from malaria.networks.backend import keras
from malaria.networks.storage import save_pair
from malaria.training.checkpoint import ResumePoint
from malaria.training.devices import set_determinism
from malaria.training.finish import judge, passport_entries
from malaria.training.out_of_fold import part_figures, write_summary
from malaria.training.trainer import fit, set_up


@dataclass(frozen=True)
class CrossValidation:
    """What came of it: the folder with all figures, and the figures for people."""

    folder: Path
    text: str


def cross_validate(config, count, *, resume=False):
    """Train `count` networks, each without one part of the patients (or images); judge each on it.

    Every image is in one part. Saves each network, the figures of each part, all predictions and
    the suspected labels in a folder of its own below output_models. resume: go on with the first
    part that is not finished. Raises UserError.
    """
    _check_honesty(config)
    folder = Path(config.output_models) / f"folds_{config.identity}_{count}"
    _check_folder(folder, resume=resume)
    device = set_up(config)
    data, parts = load_folds(config, count)
    _check_images(folder, data.digest)
    for number, (training, validation) in enumerate(parts, start=1):
        say(f"fold {number} of {count}")
        _run_fold(config, data.sides(training, validation), device, folder, number, count)
    return CrossValidation(folder, write_summary(config, data, parts, folder))


def _check_honesty(config):
    """Raise UsageError for settings that would choose on the very images that are reported."""
    if isinstance(config.threshold, str):
        raise UsageError(
            f"--folds: expected threshold: a number; received {config.threshold}, which would be "
            "chosen on the images that are reported"
        )
    if config.kept == "best":
        raise UsageError(
            "--folds: expected keep: last and early_stopping: null; received others, with which "
            "the epoch would be chosen on the images that are reported"
        )


def _check_folder(folder, *, resume):
    if resume and not folder.is_dir():
        raise UserError(f"nothing to resume: expected {folder}; start without --resume")
    if folder.exists() and not resume:
        raise UserError(
            f"{folder} holds a cross-validation of these settings: go on with --resume, or delete "
            "it to begin anew"
        )


def _check_images(folder, digest):
    """Raise UserError if the finished parts of the folder were of other images."""
    path = folder / "images.txt"
    if path.exists() and path.read_text(encoding="utf-8").strip() != digest:
        raise UserError(
            f"the images, or those excluded, have changed since {path} was written: "
            f"delete {folder} to begin anew"
        )
    write_text(path, f"{digest}\n")


def _run_fold(config, data, device, folder, number, folds):
    """Train and judge one part, unless that is done; its pair is written last."""
    name = f"fold{number}"
    point = ResumePoint(folder, name)
    if (folder / f"{name}.json").is_file():
        say("done earlier")
        point.remove()
        return
    for suffix in (".h5", ".tflite"):
        # Without a .json they are what a crash left of the saving.
        (folder / f"{name}{suffix}").unlink(missing_ok=True)
    for line in describe_sides(config, data):
        say(line)
    keras.backend.clear_session()
    # Each part begins alike, whether the others ran before it or not.
    set_determinism(config.random_state, deterministic=config.deterministic)
    model, progress = fit(config, data, device, point, resume=point.path.exists())
    judged = judge(config, data, model)
    say(f"{name}: " + _describe(part_figures(judged.labels, judged.probabilities, config)))
    with whole_file(folder / f"{name}.npy") as temporary, open(temporary, "wb") as file:
        np.save(file, judged.probabilities)
    entries = passport_entries(config, data, progress, judged)
    entries["split"] |= {"test_size": None, "fold": number, "folds": folds}
    save_pair(model, folder, name, entries)
    point.remove()


def _describe(figures):
    return ", ".join(f"{name} {value:.4f}" for name, value in figures.items() if value is not None)
