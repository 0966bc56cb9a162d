"""finish: evaluate the best weights; save the pair and the figures that lie beside it."""

import platform
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from malaria.evaluation.decisions import label_probabilities
from malaria.evaluation.metrics import Evaluation, evaluate
from malaria.evaluation.thresholds import choose_threshold
from malaria.inference.tta import VIEWS, average
from malaria.networks.backend import keras, tf
from malaria.networks.storage import save_pair
from malaria.saved.metadata import Pair
from malaria.training import artifacts as outcome
from malaria.training.batches import validation_batches


@dataclass(frozen=True)
class Outcome:
    """A finished run: the saved pair, the folder of figures named like it, and how good it is.

    text: the figures for people.
    """

    pair: Pair
    folder: Path
    evaluation: Evaluation
    text: str


@dataclass(frozen=True)
class Judged:
    """What a network answers to the validation images, in their order, and what that is worth."""

    labels: np.ndarray
    probabilities: np.ndarray
    threshold: float
    evaluation: Evaluation


def judge(config, data, model):
    """The model Judged on all validation images, with the threshold that `config` asks for."""
    probabilities = predict_validation(config, data, model)
    labels = data.labels[data.validation]
    threshold = choose_threshold(
        labels,
        probabilities,
        positive=config.labels.index(config.positive),
        rule=config.threshold,
    )
    evaluation = evaluate(
        labels, probabilities, names=config.labels, positive=config.positive, threshold=threshold
    )
    return Judged(labels, probabilities, threshold, evaluation)


def predict_validation(config, data, model):
    """Probabilities (n, number of labels) of the validation images, with tta over all views."""
    outputs = [
        model.predict(
            validation_batches(
                data.pixels, data.validation, batch_size=config.batch_size, view=view
            ),
            verbose=0,
        )
        for view in (VIEWS if config.tta else VIEWS[:1])
    ]
    return label_probabilities(average(outputs))


def finish(config, data, model, progress):
    """Evaluate the model on all validation images; save the pair and its figures: the Outcome."""
    judged = judge(config, data, model)
    evaluation = judged.evaluation
    text = outcome.describe_evaluation(evaluation, config.labels, judged.threshold)
    name = name_model(evaluation)
    folder = Path(config.output_models) / name
    _write_figures(config, data, folder, progress.history, judged, text)
    # The .tflite is made in as much memory as the pictures give back.
    data.pixels.forget()
    entries = passport_entries(config, data, progress, judged)
    pair = save_pair(model, config.output_models, name, entries)
    return Outcome(pair, folder, evaluation, text)


def name_model(evaluation):
    """model_<UTC time, ISO 8601 basic>_<validation accuracy>_<validation loss>."""
    now = datetime.now(timezone.utc)
    time = f"{now:%Y%m%dT%H%M%S}.{now.microsecond // 1000:03}Z"
    return f"model_{time}_{evaluation.accuracy:.4f}_{evaluation.loss:.4f}"


def _write_figures(config, data, folder, history, judged, text):
    known = {
        "names": config.labels,
        "labels": judged.labels,
        "probabilities": judged.probabilities,
    }
    outcome.write_tables(
        folder,
        history=history,
        text=text,
        samples=data.samples(data.validation),
        **known,
    )
    if not config.plot_training_data:
        return
    outcome.write_curves(
        folder, history=history, evaluation=judged.evaluation, positive=config.positive, **known
    )
    seed = config.random_state
    outcome.write_augmentation(
        folder / "augmentation.png", data.pixels, data.training, config.augmentation, seed=seed
    )
    outcome.write_predictions(
        folder / "predictions.png", data.pixels, data.validation, seed=seed, **known
    )


def passport_entries(config, data, progress, judged):
    """What the saved pair says of itself under the key `malaria`."""
    pixel_format = asdict(data.pixels.pixel_format)
    size = pixel_format.pop("size")
    return {
        "format": 1,
        "labels": list(config.labels),
        "positive_label": config.positive,
        "image_size": list(size),
        "pixels": pixel_format,
        "threshold": judged.threshold,
        "tta": config.tta,
        "validation": asdict(judged.evaluation),
        "split": {
            "by": config.split_by,
            "test_size": config.test_size,
            "random_state": config.random_state,
            "training_images": len(data.training),
            "validation_images": len(data.validation),
            "validation_patients": sorted(
                {sample.patient for sample in data.samples(data.validation)} - {None}
            ),
        },
        "epochs": {"run": progress.epoch, "best": progress.best_epoch},
        "config": config.model_dump(mode="json"),
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
        },
    }
