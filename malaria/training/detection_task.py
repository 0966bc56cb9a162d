"""detection_task: a training that learns to find the cells of fields, as a Config says.

The functions that trainer.py takes of a task; those of the other one are in assembly.py.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from malaria.annotations.cell_kinds import kind_of
from malaria.base.errors import UserError
from malaria.base.files import write_csv, write_text
from malaria.base.streams import log
from malaria.base.text import printable
from malaria.data.dataset import Sample
from malaria.data.splits import split_samples
from malaria.evaluation.plots import plot_history
from malaria.model import DETECTOR, build_model
from malaria.networks.backend import keras
from malaria.networks.load_model import load_model
from malaria.networks.save import save_pair
from malaria.pictures.folders import find_images, sub_folders
from malaria.pictures.images import PixelFormat, UnreadableImageError, read_image
from malaria.saved.metadata import DETECTION
from malaria.saved.pair import Pair, find_pair, read_architecture
from malaria.settings.config import Config
from malaria.training.annotated_fields import KINDS, AnnotatedFields, load_fields
from malaria.training.assembly import compiled
from malaria.training.checkpoint import Progress, ResumePoint
from malaria.training.composed_fields import SIDE, Bank, bank_of
from malaria.training.detection_result import DetectionResult, judge_detector
from malaria.training.detection_targets import detection_losses, share_found
from malaria.training.devices import Device, computing_in
from malaria.training.field_views import FieldPipeline
from malaria.training.finish import describe_run, new_pair
from malaria.training.guard_head import copy_weights
from malaria.training.losses import Objective
from malaria.training.step import Learner

# Of the cut cells of each label and folder at most so many are used.
MOST_CELLS = 1500
# Steps of an epoch, where a config does not say it: views are drawn without an end.
STEPS = 300


def load(config: Config) -> AnnotatedFields:
    """The fields on their two sides. Raises UserError."""
    fields = load_fields(config.folders)
    sources = sorted({one.source for one in fields})
    samples = [Sample(Path(), sources.index(one.source), one.group) for one in fields]
    training, validation = split_samples(
        samples, by="patient", test_size=config.test_size, seed=config.random_state
    )
    return AnnotatedFields(fields, training, validation)


def describe(config: Config, fields: AnnotatedFields) -> Iterator[str]:
    """What lies on each side."""
    for name, places in (("training", fields.training), ("validation", fields.validation)):
        chosen = [fields.fields[place] for place in places]
        counts = np.bincount(np.concatenate([one.kinds for one in chosen]), minlength=len(KINDS))
        told = ", ".join(f"{kind} {count:,}" for kind, count in zip(KINDS, counts, strict=True))
        sources = ", ".join(sorted({one.source for one in chosen}))
        yield f"{name}: {len(chosen)} fields of {printable(sources)} ({told})"


def steps_in_epoch(config: Config, fields: AnnotatedFields) -> int:
    """The number of training steps of one epoch."""
    return config.steps_per_epoch or STEPS


def total_steps(config: Config, fields: AnnotatedFields) -> int:
    """The number of training steps of all epochs."""
    return config.epochs * steps_in_epoch(config, fields)


def build(config: Config, device: Device, fields: AnnotatedFields) -> keras.Model:
    """The network, compiled, on the device."""
    with device.strategy.scope(), computing_in(device.precision):
        model = build_model(DETECTOR, image_size=config.image_size, label_count=len(KINDS))
        model = compiled(config, device, model, steps_in_epoch(config, fields))
        if config.init_weights is not None:
            _init_weights(model, find_pair(config.init_weights))
    return model


def _init_weights(model: keras.Model, pair: Pair) -> None:
    other = load_model(pair, read_architecture(pair))
    if other.name != DETECTOR:
        raise UserError(f"init_weights: {printable(pair.weights)} is no detector")
    copy_weights(other, model)
    log(f"all layers begin with the weights of {printable(pair.weights)}")


def make_pipeline(config: Config, device: Device, fields: AnnotatedFields) -> FieldPipeline:
    """The batches to train on and to validate on after each epoch."""
    return FieldPipeline(
        device.strategy,
        fields,
        _read_bank(config, fields),
        side=config.image_size[0],
        batch_size=config.batch_size,
        steps=steps_in_epoch(config, fields),
        seed=config.random_state,
        composed=config.composed_share,
        validation_steps=config.validation_steps,
    )


def _read_bank(config: Config, fields: AnnotatedFields) -> Bank | None:
    """Cut cells, and what the training fields hold besides red cells. Raises UserError."""
    if config.composed_of is None:
        return None
    rng = np.random.RandomState(config.random_state)
    found: dict[str, list[np.ndarray]] = {"uninfected": [], "parasitized": []}
    for folder in map(Path, config.composed_of):
        for name in sub_folders(folder):
            if (kind := kind_of(name, {})) in found:
                found[kind] += _read_cells(folder / name, rng)
    if lacking := [kind for kind, cells in found.items() if not cells]:
        raise UserError(
            f"composed_of: no {lacking[0]} cells: expected folders with sub-folders Parasitized "
            "and Uninfected, of one cell an image"
        )
    cells = {kind: np.stack(images) for kind, images in found.items()}
    return bank_of(cells, [fields.fields[place] for place in fields.training])


def _read_cells(folder: Path, rng: np.random.RandomState) -> list[np.ndarray]:
    paths, images = list(find_images(folder)), []
    for place in rng.permutation(len(paths))[:MOST_CELLS]:
        try:
            images.append(read_image(paths[place], PixelFormat((SIDE, SIDE))))
        except UnreadableImageError:
            continue
    return images


def make_learner(
    config: Config, device: Device, model: keras.Model, pipeline: FieldPipeline
) -> Learner:
    """What trains the network that `build` gave on the batches of the pipeline."""
    return Learner(model, pipeline, Objective(detection_losses, share_found), xla=device.xla)


def conclude(
    config: Config, fields: AnnotatedFields, model: keras.Model, progress: Progress
) -> DetectionResult:
    """Judge the trained network on the validation fields and save it."""
    plain = build_model(
        DETECTOR, image_size=config.image_size, label_count=len(KINDS), any_size=True
    )
    copy_weights(model, plain)
    judged = [fields.fields[place] for place in fields.validation]
    result = judge_detector(judged, lambda images: np.asarray(plain(images, training=False)))
    pair = new_pair(config, result.recall, result.precision)
    folder, rows = pair.weights.with_suffix(""), progress.history
    write_text(folder / "evaluation.txt", f"{result.text}\n")
    write_csv(folder / "history.csv", list(rows[0]), [list(row.values()) for row in rows])
    if config.plot_training_data:
        plot_history(folder / "accuracy.svg", rows, "accuracy", "share of the middles found")
        plot_history(folder / "loss.svg", rows, "loss", "loss")
    beside = ResumePoint(config.output_models, config.identity).path.parent
    entries = metadata_entries(config, fields, progress, result)
    save_pair(plain, config.output_models, pair.weights.stem, entries, beside=beside)
    return replace(result, model=pair.weights)


def metadata_entries(
    config: Config, fields: AnnotatedFields, progress: Progress, result: DetectionResult
) -> dict[str, Any]:
    """What the saved pair says of itself under the key `malaria`."""
    sources = [one.source for one in fields.fields]
    return {
        "format": 1,
        "task": DETECTION,
        "kinds": list(KINDS),
        "threshold": result.threshold,
        "validation": {"recall": result.recall, "precision": result.precision},
        "split": {
            "training_fields": len(fields.training),
            "validation_fields": len(fields.validation),
            "sources": {name: sources.count(name) for name in sorted(set(sources))},
        },
        **describe_run(config, progress),
    }
