"""outcome: what a training leaves beside its pair: figures, tables and pictures."""

import numpy as np

from malaria.base.files import write_csv, write_text
from malaria.base.tables import align
from malaria.evaluation import plots
from malaria.training.augmentation import augment


def describe_evaluation(evaluation, names, threshold):
    """The figures of an Evaluation, the report and the matrix, as text for people."""
    figures = [f"accuracy {evaluation.accuracy:.4f}", f"loss {evaluation.loss:.4f}"]
    if evaluation.sensitivity is not None:
        figures.append(f"sensitivity {evaluation.sensitivity:.4f}")
        figures.append(f"specificity {evaluation.specificity:.4f}")
    figures.append(f"AUC {evaluation.auc:.4f}")
    decided = f", threshold {threshold:.4f}" if evaluation.sensitivity is not None else ""
    title = f"{evaluation.count} validation images{decided}: {', '.join(figures)}"
    matrix = align([["true, predicted as", *names], *_matrix_rows(evaluation.confusion, names)])
    return f"{title}\n\n{evaluation.report}\n{matrix}"


def _matrix_rows(confusion, names):
    return [[name, *row] for name, row in zip(names, confusion, strict=True)]


def write_tables(folder, *, history, text, samples, names, labels, probabilities):
    """history.csv, evaluation.txt and validation.csv (each image with all its probabilities)."""
    write_text(folder / "evaluation.txt", f"{text}\n")
    write_csv(folder / "history.csv", list(history[0]), [list(row.values()) for row in history])
    known = {"samples": samples, "names": names, "labels": labels, "probabilities": probabilities}
    write_answers(folder / "validation.csv", **known)


def write_answers(path, *, samples, names, labels, probabilities):
    """A .csv of labelled images: path, patient, true label, probability of every label."""
    rows = [
        [str(sample.path), sample.patient or "", names[label], *np.round(probability, 6).tolist()]
        for sample, label, probability in zip(samples, labels, probabilities, strict=True)
    ]
    header = ["path", "patient", "label", *(f"probability of {name}" for name in names)]
    write_csv(path, header, rows)


def write_curves(folder, *, history, evaluation, names, positive, labels, probabilities):
    """accuracy.svg, loss.svg, confusion_matrix.svg and roc.svg."""
    plots.plot_history(folder / "accuracy.svg", history, "accuracy", "accuracy")
    plots.plot_history(folder / "loss.svg", history, "loss", "cross-entropy, nats")
    plots.plot_confusion(folder / "confusion_matrix.svg", evaluation.confusion, names)
    plots.plot_roc(
        folder / "roc.svg", labels, probabilities, names, auc=evaluation.auc, positive=positive
    )


def write_augmentation(path, pixels, indices, augmentation, *, seed):
    """One batch before (upper rows) and after augmentation (lower rows)."""
    chosen = np.random.RandomState(seed).permutation(indices)[:16]
    before = pixels.read(chosen)
    after = np.asarray(augment(before, augmentation, seed=[seed, 0]))
    titles = ["before"] * len(before) + ["after"] * len(after)
    plots.plot_grid(path, [*before, *after], titles)


def write_predictions(path, pixels, indices, *, names, labels, probabilities, seed):
    """Sixteen validation images, each with its predicted label and probability; mistakes in red."""
    picks = np.random.RandomState(seed).permutation(len(indices))[:16]
    best = probabilities[picks].argmax(axis=1)
    right = best == labels[picks]
    titles = [
        f"{'' if is_right else 'wrong: '}{names[label]} {probabilities[pick, label]:.3f}"
        for pick, label, is_right in zip(picks, best, right, strict=True)
    ]
    colours = ["black" if is_right else "red" for is_right in right]
    plots.plot_grid(path, pixels.read(indices[picks]), titles, colours=colours)
