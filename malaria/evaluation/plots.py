"""plots: metrics as figures; every one goes to a file, none opens a window."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from malaria.base.files import whole_file
from malaria.base.text import printable, shorten
from malaria.evaluation.metrics import reliability, roc_curve
from malaria.evaluation.result import Result

# Names come from strangers: a $ in one is no formula. Fixed ids make the same SVG every time.
STYLE: dict[Any, Any] = {
    "text.parse_math": False,
    "svg.hashsalt": "malaria",
    "svg.fonttype": "none",
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
}
WITHOUT_GRID = STYLE | {"axes.grid": False}
# Longer names of labels are cut short.
NAME_LENGTH = 24
TRAINING, VALIDATION = "#4269d0", "#ff725c"


@contextmanager
def _axes(
    path: Path, size: tuple[float, float], style: dict[Any, Any] = STYLE, shape: Any = (1, 1)
) -> Iterator[Any]:
    """Give the axes of a figure of this size, inches, then write it whole, as .svg or .png.

    shape: (rows, columns); of more than one the axes are an array.
    """
    kind = path.suffix[1:]
    metadata: dict[str, Any] = {"Date": None} if kind == "svg" else {}
    with rc_context(style), warnings.catch_warnings():
        # A letter that the font lacks: an .svg is shown in its reader's, a .png has a box.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure = Figure(figsize=size)
        yield figure.subplots(*shape)
        with whole_file(path) as temporary:
            figure.savefig(temporary, format=kind, metadata=metadata, bbox_inches="tight", dpi=110)


def plot_history(path: Path, history: Sequence[Mapping[str, float]], key: str, title: str) -> None:
    """A curve over epochs of history[i][key] (training) and history[i]["val_" + key]."""
    epochs = [row["epoch"] for row in history]
    curves = ("training (augmented)", key, TRAINING), ("validation", f"val_{key}", VALIDATION)
    with _axes(path, (6.4, 4)) as axes:
        for name, column, colour in curves:
            values = [row[column] for row in history]
            axes.plot(epochs, values, marker="o", markersize=4, color=colour, label=name)
        axes.set(xlabel="epoch", ylabel=title)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()


def plot_confusion(path: Path, result: Result) -> None:
    """The confusion matrix: row = true label, column = predicted label, with shares of the row."""
    confusion = np.asarray(result.confusion)
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    names = [shorten(name, NAME_LENGTH) for name in result.label_names]
    side = 2.6 + 0.9 * len(names)
    with _axes(path, (side, side), WITHOUT_GRID) as axes:
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.set(xlabel="predicted", ylabel="true")
        axes.set_xticks(range(len(names)), names)
        axes.set_yticks(range(len(names)), names, rotation=90, va="center")
        for (row, column), count in np.ndenumerate(confusion):
            text = f"{count}\n{shares[row, column]:.1%}"
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, text, ha="center", va="center", color=colour)


def plot_roc(path: Path, result: Result) -> None:
    """ROC curves: of the positive label for two labels, of each label against the rest for more."""
    names, auc = result.label_names, result.values["auc"]
    with _axes(path, (4.8, 4.8)) as axes:
        for label in [result.positive] if len(names) == 2 else range(len(names)):
            if len(np.unique(result.labels == label)) < 2:
                continue  # of a label that is not there, or is everywhere, there is no curve
            false, true = roc_curve(result.labels, result.probabilities, label)
            # Without the space a name that begins with _ would be left out of the legend.
            axes.plot(false, true, label=f" {shorten(names[label], NAME_LENGTH)}")
        axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
        title = "AUC undefined" if auc is None else f"AUC {auc:.4f}"
        axes.set(xlabel="1 - specificity", ylabel="sensitivity", title=title)
        axes.set_aspect("equal")
        axes.legend(loc="lower right")


def plot_reliability(path: Path, result: Result) -> None:
    """Reliability diagram of the positive label; points are as large as their bins."""
    bins = reliability(result.labels, result.probabilities, result.positive)
    predicted, observed, counts = np.array([list(row.values()) for row in bins]).T
    positive = shorten(result.positive_label, NAME_LENGTH)
    with _axes(path, (4.8, 4.8)) as axes:
        axes.plot([0, 1], [0, 1], color="grey", linestyle=":", label="perfect")
        axes.plot(predicted, observed, color=TRAINING, linewidth=1)
        sizes = 16 + 500 * counts / counts.max()
        axes.scatter(predicted, observed, s=sizes, color=TRAINING, alpha=0.6, clip_on=False)
        axes.set(xlabel=f"predicted probability of {positive}", ylabel="observed share")
        axes.set_aspect("equal")
        axes.legend(loc="upper left")


def plot_agreement(
    path: Path, levels: Mapping[str, tuple[Sequence[tuple[float, float]], Mapping[str, float]]]
) -> None:
    """Bland and Altman's plot (1986) of the parasitaemia, told minus annotated, for each level.

    levels: {"fields": ([(told, annotated)], {"bias", "low", "high"})}, all 0..1.
    """
    with _axes(path, (5.6 * len(levels), 4), shape=(1, len(levels))) as axes:
        for axis, (level, (pairs, known)) in zip(np.ravel(axes), levels.items(), strict=True):
            told, annotated = 100 * np.array(pairs).T
            axis.scatter((told + annotated) / 2, told - annotated, s=22, alpha=0.6, color=TRAINING)
            for key, line in (("bias", "-"), ("low", "--"), ("high", "--")):
                axis.axhline(100 * known[key], color=VALIDATION, linestyle=line, linewidth=1)
            title = f"{len(pairs):,} {level}: bias and 95 % limits"
            axis.set(title=title, xlabel="mean of told and annotated parasitaemia, %")
            axis.set_ylabel("told minus annotated, %")


def plot_grid(
    path: Path,
    images: Sequence[np.ndarray],
    titles: Sequence[str],
    *,
    columns: int = 8,
    colours: Sequence[str] | None = None,
) -> None:
    """Images (n, height, width, 3), uint8 or 0..1, in rows of `columns`, each with its title."""
    rows, colours = -(-len(images) // columns), colours or ["black"] * len(images)
    style = WITHOUT_GRID | {"font.size": 8, "figure.constrained_layout.use": True}
    with _axes(path, (1.6 * columns, 1.85 * rows), style, (rows, columns)) as axes:
        places = np.ravel(axes)
        for axis in places:
            axis.set_axis_off()
        for axis, image, title, colour in zip(places, images, titles, colours, strict=False):
            axis.imshow(image)
            axis.set_title(printable(title), color=colour)
