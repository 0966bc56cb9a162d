"""finish: judge a trained network on the validation images and save it, as a Config says."""

import platform
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import numpy as np

from malaria.data.dataset import count_by_source
from malaria.data.labelled_images import LabelledImages
from malaria.evaluation.bootstrap import group_members
from malaria.evaluation.decisions import label_probabilities
from malaria.evaluation.known_accuracy import counting_of, settings_of, to_record
from malaria.evaluation.result import Result
from malaria.evaluation.thresholds import choose_threshold
from malaria.evaluation.tta import VIEWS, average
from malaria.inference.grey import find_grey
from malaria.inference.guard import Guard
from malaria.model import build_model
from malaria.networks.ask import ask
from malaria.networks.backend import keras, tf
from malaria.networks.save import save_pair
from malaria.saved.metadata import Metadata
from malaria.saved.pair import Pair
from malaria.settings.config import Config
from malaria.training.artifacts import write_plots, write_tables
from malaria.training.batches import validation_batches
from malaria.training.checkpoint import Progress, ResumePoint
from malaria.training.guard_head import copy_weights, fit_guard, kinds_of
from malaria.training.other_images import make_others

# So many training images are looked at for their colours.
LOOKED_AT, BATCH = 1000, 100
# The metrics of the validation that are kept with the model.
METRICS = ("accuracy", "auc", "sensitivity", "specificity")


def conclude(
    config: Config, images: LabelledImages, model: keras.Model, progress: Progress
) -> Result:
    """Judge the trained network on the validation images and save it."""
    plain, guard = as_saved(config, images, model)
    result = evaluate(config, images, plain)
    return save(config, images, plain, progress, result, guard)


def as_saved(
    config: Config, images: LabelledImages, model: keras.Model
) -> tuple[keras.Model, Guard | None]:
    """The network of Keras's own layers, in float32, on one device, and its guard or None."""
    plain = build_model(config.model, image_size=config.image_size, label_count=len(config.labels))
    copy_weights(model, plain)
    if not config.guard:
        return plain, None
    others = make_others(images, config.not_cells or (), seed=config.random_state)
    kinds, amounts = kinds_of(config.not_cells), config.augmentation.model_dump()
    return plain, fit_guard(plain, images, others, kinds, amounts)


def evaluate(config: Config, images: LabelledImages, model: keras.Model) -> Result:
    """The Result on all validation images, with the threshold that `config` asks for."""
    probabilities = _predict_validation(config, images, model)
    labels, samples = images.labels[images.validation], images.chosen(images.validation)
    positive = config.labels.index(config.positive)
    return Result(
        paths=[str(sample.path) for sample in samples],
        labels=labels,
        probabilities=probabilities,
        label_names=config.labels,
        positive_label=config.positive,
        threshold=choose_threshold(labels, probabilities, positive=positive, rule=config.threshold),
        groups=[sample.patient for sample in samples],
        sources=[sample.source for sample in samples],
    )


def _predict_validation(config: Config, images: LabelledImages, model: keras.Model) -> np.ndarray:
    """(n, number of labels); with tta the mean over all views."""
    known = images.pixels, images.validation, config.batch_size
    outputs = [
        [ask(model, batch.images) for batch in validation_batches(*known, view=view)]
        for view in (VIEWS if config.tta else VIEWS[:1])
    ]
    return label_probabilities(average(np.concatenate(parts) for parts in outputs))


def save(
    config: Config,
    images: LabelledImages,
    model: keras.Model,
    progress: Progress,
    result: Result,
    guard: Guard | None,
) -> Result:
    """Write the pair, and a folder of metrics named like it; return the Result with its `model`."""
    pair = new_pair(config, result.values["accuracy"], result.values["cross_entropy"])
    result = replace(result, model=pair.weights)
    folder = pair.weights.with_suffix("")
    write_tables(folder, result, progress.history)
    if config.plot_training_data:
        write_plots(
            *(folder, result, progress.history, images),
            augmentation=config.augmentation.model_dump(),
            seed=config.random_state,
        )
    entries = metadata_entries(config, images, progress, result, guard)
    # The .tflite is made in as much memory as the images give back.
    images.pixels.forget()
    # What a killed process leaves there goes when the run that is resumed has ended.
    beside = ResumePoint(config.output_models, config.identity).path.parent
    save_pair(model, config.output_models, pair.weights.stem, entries, beside=beside)
    return result


def new_pair(config: Config, *values: float | None) -> Pair:
    """The Pair to be written, named after this moment and two values of the validation."""
    now = datetime.now(timezone.utc)
    time = f"{now:%Y%m%dT%H%M%S}.{now.microsecond // 1000:03}Z"  # ISO 8601 basic
    return Pair.at(config.output_models, "_".join(["model", time, *(f"{v:.4f}" for v in values)]))


def describe_run(config: Config, progress: Progress) -> dict[str, Any]:
    """The entries of the metadata that tell how a network came about."""
    return {
        "epochs": {"run": progress.epoch, "best": progress.best_epoch},
        "arithmetic": progress.arithmetic,
        "config": config.model_dump(mode="json"),
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
        },
    }


def metadata_entries(
    config: Config,
    images: LabelledImages,
    progress: Progress,
    result: Result,
    guard: Guard | None,
) -> dict[str, Any]:
    """What the saved pair says of itself under the key `malaria`."""
    samples = images.chosen(images.validation)
    patients = {one.patient for one in samples if one.patient is not None}
    metadata = Metadata(
        labels=config.labels,
        positive_label=config.positive,
        pixels=images.pixels.pixel_format,
        threshold=result.threshold,
        tta=config.tta,
        guard=None if guard is None else guard.to_entries(),
        grey_share=_grey_share(images, seed=config.random_state),
    )
    answers = result.labels, result.probabilities
    members = group_members(result.groups, len(result.labels))
    known: dict[str, Any] = {"positive": result.positive, "members": members}
    return metadata.to_entries() | {
        "validation": {
            "count": len(result.labels),
            "loss": result.values["cross_entropy"],
            **{name: result.values[name] for name in METRICS},
            "report": result.classification_report,
            **to_record(*answers, result.predicted, **known),
            **counting_of(*answers, **known),
            **settings_of(metadata),
        },
        "split": {
            "by": config.split_by,
            "test_size": config.test_size,
            "random_state": config.random_state,
            "training_images": len(images.training),
            "validation_images": len(images.validation),
            "validation_patients": sorted(patients),
            "sources": {
                "training": count_by_source(images.chosen(images.training), config.labels),
                "validation": count_by_source(samples, config.labels),
            },
        },
        **describe_run(config, progress),
    }


def _grey_share(images: LabelledImages, *, seed: int) -> float:
    """The share of the training images that have no colours."""
    some = np.random.RandomState(seed).permutation(images.training)[:LOOKED_AT]
    parts = np.array_split(some, -(-len(some) // BATCH))
    return float(np.concatenate([find_grey(images.pixels.read(part)) for part in parts]).mean())
