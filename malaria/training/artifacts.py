"""artifacts: what a training leaves beside its pair: metrics, tables and plots."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from malaria.augmentation.augment import augment
from malaria.augmentation.random_changes import Amounts
from malaria.base.files import write_csv, write_text
from malaria.data.labelled_images import LabelledImages
from malaria.evaluation import plots
from malaria.evaluation.format import describe
from malaria.evaluation.result import Result

# Images in each plot.
SHOWN = 16


def write_tables(folder: Path, result: Result, history: Sequence[Mapping[str, float]]) -> None:
    """history.csv, evaluation.txt and validation.csv (each image with all its probabilities)."""
    write_text(folder / "evaluation.txt", f"{describe(result)}\n")
    write_csv(folder / "history.csv", list(history[0]), [list(row.values()) for row in history])
    write_answers(folder / "validation.csv", result)


def write_answers(path: Path, result: Result) -> None:
    """A .csv of labelled images: path, patient, true label, probability of every label."""
    names = result.label_names
    patients = result.groups or [None] * len(result.paths)
    answers = zip(result.paths, patients, result.labels, result.probabilities, strict=True)
    rows = [
        [path, patient, names[label], *np.round(probability, 6).tolist()]
        for path, patient, label, probability in answers
    ]
    header = ["path", "patient", "label", *(f"probability of {name}" for name in names)]
    write_csv(path, header, rows)


def write_plots(
    folder: Path,
    result: Result,
    history: Sequence[Mapping[str, float]],
    images: LabelledImages,
    *,
    augmentation: Amounts,
    seed: int,
) -> None:
    """accuracy.svg, loss.svg, confusion_matrix.svg, roc.svg, augmentation.png, predictions.png."""
    plots.plot_history(folder / "accuracy.svg", history, "accuracy", "accuracy")
    plots.plot_history(folder / "loss.svg", history, "loss", "cross-entropy, nats")
    plots.plot_confusion(folder / "confusion_matrix.svg", result)
    plots.plot_roc(folder / "roc.svg", result)
    _plot_augmentation(folder / "augmentation.png", images, augmentation, seed=seed)
    _plot_predictions(folder / "predictions.png", images, result, seed=seed)


def _plot_augmentation(
    path: Path, images: LabelledImages, augmentation: Amounts, *, seed: int
) -> None:
    """One batch before (upper rows) and after augmentation (lower rows)."""
    chosen = np.random.RandomState(seed).permutation(images.training)[:SHOWN]
    before = images.pixels.read(chosen)
    after = np.asarray(augment(before, augmentation, seed=[seed, 0]))
    titles = ["before"] * len(before) + ["after"] * len(after)
    plots.plot_grid(path, [*before, *after], titles)


def _plot_predictions(path: Path, images: LabelledImages, result: Result, *, seed: int) -> None:
    """Some validation images, each with its predicted label and probability; mistakes in red."""
    picks = np.random.RandomState(seed).permutation(len(images.validation))[:SHOWN]
    names, predicted = result.label_names, result.predicted[picks]
    correct = predicted == result.labels[picks]
    titles = [
        f"{'' if is_correct else 'wrong: '}{names[label]} {result.probabilities[pick, label]:.3f}"
        for pick, label, is_correct in zip(picks, predicted, correct, strict=True)
    ]
    colours = ["black" if is_correct else "red" for is_correct in correct]
    plots.plot_grid(path, [*images.pixels.read(images.validation[picks])], titles, colours=colours)
