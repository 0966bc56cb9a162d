"""cross_validation: each image is judged by a network that never saw its patient."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from malaria.base.errors import UsageError, UserError
from malaria.base.files import make_folder, whole_file, write_text
from malaria.base.lock import locked
from malaria.base.streams import log
from malaria.data.dataset import Sample
from malaria.data.labelled_images import LabelledImages, describe_sides
from malaria.data.splits import Folds, Sides, fold_samples, split_by_source
from malaria.networks.backend import keras
from malaria.networks.save import save_pair
from malaria.settings.config import Config
from malaria.training import assembly, finish
from malaria.training.checkpoint import ResumePoint
from malaria.training.devices import Device, set_determinism
from malaria.training.out_of_fold import describe_fold, read_result, write_summary
from malaria.training.trainer import build_and_fit, report_interrupt, set_up


class CrossValidation(NamedTuple):
    """The folder with everything, and a text for people."""

    folder: Path
    text: str


# Runs the parts of these names, whose files are to lie in the folder, each as `run_part` does.
RunParts = Callable[[Config, Folds, Path, Sequence[str]], None]


def cross_validate(
    config: Config, folds: Folds, *, resume: bool = False, elsewhere: RunParts | None = None
) -> CrossValidation:
    """Train networks, each without one part of the patients (or images); judge each on it.

    folds: the number of parts, or "source": each folder of train_images is a part, so that every
    laboratory is judged by a network that saw nothing of it. resume: go on with the first part that
    is not finished. elsewhere: runs the parts in other processes; None: one after the other in this
    one. Saves each network, the metrics of each part, all predictions and the suspected labels in a
    folder of its own below output_models. Raises UserError.
    """
    _check_honesty(config)
    folder = Path(config.output_models) / f"folds_{config.identity}_{folds}"
    with locked(folder.with_name(f"{folder.name}.lock"), f"{folder} is being written"):
        _check_folder(folder, resume=resume)
        make_folder(folder, folder.parent)
        images, parts = _load(config, folds, folder)
        if elsewhere is None:
            _run_here(config, folds, folder, images, parts)
        else:
            elsewhere(config, folds, folder, [*parts])
        judged = {name: validation for name, (_, validation) in parts.items()}
        result = read_result(
            *(folder, images.samples, judged),
            label_names=config.labels,
            positive_label=config.positive,
            threshold=config.threshold,
        )
        text = write_summary(
            *(folder, images.samples, judged, result),
            source=config.base_folder,
            split_by="source" if folds == "source" else config.split_by,
        )
    return CrossValidation(folder, text)


def divide(config: Config, samples: Sequence[Sample], folds: Folds) -> dict[str, Sides]:
    """{name of the part: (training, validation)}; names are 1, 2, ... or the sources'."""
    if folds == "source":
        return split_by_source(samples)
    parts = fold_samples(samples, by=config.split_by, count=folds, seed=config.random_state)
    return {str(number): sides for number, sides in enumerate(parts, start=1)}


def run_part(config: Config, folds: Folds, folder: Path, number: int) -> None:
    """Run one part, from number 1 on, in a process that runs no other."""
    images, parts = _load(config, folds, folder)
    images = images.sides(*[*parts.values()][number - 1])
    _run_fold(config, images, set_up(config), folder, number, len(parts))


def _load(config: Config, folds: Folds, folder: Path) -> tuple[LabelledImages, dict[str, Sides]]:
    """The images and their parts. Raises UserError if the finished parts were of other images."""
    images = assembly.load_images(config)
    parts = divide(config, images.samples, folds)
    path = folder / "images.txt"
    if path.exists() and path.read_text(encoding="utf-8").strip() != images.digest:
        raise UserError(
            f"the images, or those excluded, have changed since {path} was written: "
            f"delete {folder} to begin anew"
        )
    write_text(path, f"{images.digest}\n")
    return images, parts


def _run_here(
    config: Config, folds: Folds, folder: Path, images: LabelledImages, parts: Mapping[str, Sides]
) -> None:
    device = set_up(config)
    for number, (name, sides) in enumerate(parts.items(), start=1):
        log(f"fold {number} of {len(parts)}" + (f": without {name}" if folds == "source" else ""))
        _run_fold(config, images.sides(*sides), device, folder, number, len(parts))


def _check_honesty(config: Config) -> None:
    """Raise UsageError for settings that would choose on the very images that are reported."""
    chosen = "which would be chosen on the images that are reported"
    if isinstance(config.threshold, str):
        wrong = f"threshold: a number; received {config.threshold}, {chosen}"
    elif config.kept == "best":
        wrong = f"keep: last and early_stopping: null; received others: an epoch, {chosen}"
    elif config.validation_images is not None:
        wrong = f"validation_images: null; received {config.validation_images}: all are judged once"
    else:
        return
    raise UsageError(f"--folds: expected {wrong}")


def _check_folder(folder: Path, *, resume: bool) -> None:
    if resume and not folder.is_dir():
        raise UserError(f"nothing to resume: expected {folder}; start without --resume")
    if folder.exists() and not resume:
        raise UserError(
            f"{folder} holds a cross-validation of these settings: go on with --resume, or delete "
            "it to begin anew"
        )


def _run_fold(
    config: Config, images: LabelledImages, device: Device, folder: Path, number: int, folds: int
) -> None:
    """Train and judge one part, unless that is done; its pair is written last."""
    name = f"fold{number}"
    point = ResumePoint(folder, name)
    if (folder / f"{name}.json").is_file():
        log("done earlier")
        point.remove()
        return
    for suffix in (".h5", ".tflite"):
        # Without a .json they are what a crash left of the saving.
        (folder / f"{name}{suffix}").unlink(missing_ok=True)
    for line in describe_sides(images, config.labels):
        log(line)
    keras.backend.clear_session()
    # Each part begins alike, whether the others ran before it or not.
    set_determinism(config.random_state, deterministic=config.deterministic)
    model, progress = build_and_fit(config, device, images, point, resume=point.path.exists())
    with report_interrupt(config, progress, images):
        model, guard = finish.as_saved(config, images, model)
        result = finish.evaluate(config, images, model)
    log(f"{name}: {describe_fold(result)}")
    with whole_file(folder / f"{name}.npy") as temporary, open(temporary, "wb") as file:
        np.save(file, result.probabilities)
    entries = finish.metadata_entries(config, images, progress, result, guard)
    entries["split"] |= {"test_size": None, "fold": number, "folds": folds}
    save_pair(model, folder, name, entries, beside=point.path.parent)
    point.remove()
