"""out_of_fold: the answers of all parts of a cross-validation, put together and written."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from malaria.base.errors import UserError
from malaria.base.files import write_csv, write_json, write_text
from malaria.base.text import align
from malaria.data.dataset import Sample
from malaria.evaluation import plots
from malaria.evaluation.format import describe, to_json
from malaria.evaluation.result import Result
from malaria.outputs.label_error_page import CSV, HTML, write_label_errors
from malaria.training.artifacts import write_answers

# The metrics of each part.
METRICS = ("accuracy", "sensitivity", "specificity", "auc")
# A name of the part, or mean or deviation; its METRICS, None or NaN where undefined.
TableRow = list[Any]


def read_result(
    folder: Path, samples: Sequence[Sample], parts: Mapping[str, np.ndarray], **known: Any
) -> Result:
    """The Result on all images, each judged by the network that never saw it.

    It is read from fold1.npy, fold2.npy, ... in `folder`. parts: {name: indices of the samples that
    its network judged}. known: the rest of the Result. Raises UserError.
    """
    probabilities = np.empty((len(samples), len(known["label_names"])), np.float32)
    for number, part in enumerate(parts.values(), start=1):
        path = folder / f"fold{number}.npy"
        probabilities[part] = _read_answers(path, probabilities[part].shape)
    return Result(
        paths=[str(sample.path) for sample in samples],
        labels=np.array([sample.label for sample in samples]),
        probabilities=probabilities,
        groups=[sample.patient for sample in samples],
        sources=[sample.source for sample in samples],
        **known,
    )


def write_summary(
    folder: Path,
    samples: Sequence[Sample],
    parts: Mapping[str, np.ndarray],
    result: Result,
    *,
    source: Path | str,
    split_by: str,
) -> str:
    """Write every metric of all parts, the plots and the suspected labels; return a text.

    source: the folder the images are in. The others: as `read_result` takes or returns them.
    """
    values = {name: result.of(part).values for name, part in parts.items()}
    table = _with_mean({name: [one[key] for key in METRICS] for name, one in values.items()})
    write_csv(folder / "folds.csv", ["fold", *METRICS], table)
    write_answers(folder / "out_of_fold.csv", result)
    by_fold = {
        name: {"mean": _number(mean), "deviation": _number(deviation)}
        for name, mean, deviation in zip(METRICS, table[-2][1:], table[-1][1:], strict=True)
    }
    more = {"folds": len(parts), "split_by": split_by, "by_fold": by_fold}
    write_json(folder / "metrics.json", to_json(result, **more))
    plots.plot_roc(folder / "roc.svg", result)
    plots.plot_confusion(folder / "confusion_matrix.svg", result)
    plots.plot_reliability(folder / "reliability.svg", result)
    suspected = write_label_errors(folder, samples, result, source=source)
    text = _describe_all(table, result, suspected)
    write_text(folder / "evaluation.txt", f"{text}\n")
    return text


def describe_fold(result: Result) -> str:
    """The METRICS of one part on one line, but for those undefined."""
    known = ((name, result.values[name]) for name in METRICS)
    return ", ".join(f"{name} {value:.4f}" for name, value in known if value is not None)


def _read_answers(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    try:
        answers: np.ndarray = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(
            f"cannot read {path}: {error}; delete {path.with_suffix('.json')} and --resume"
        ) from None
    if answers.shape != shape:
        raise UserError(f"{path}: expected probabilities {shape}, received {answers.shape}")
    return answers


def _with_mean(rows: Mapping[str, list[float | None]]) -> list[TableRow]:
    """Each part with its name, then the mean and the sample deviation."""
    values = np.array([*rows.values()], np.float64)
    mean, deviation = values.mean(axis=0), values.std(axis=0, ddof=1)
    named: list[TableRow] = [[name, *row] for name, row in rows.items()]
    return [*named, ["mean", *mean.tolist()], ["deviation", *deviation.tolist()]]


def _number(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else value


def _describe_all(table: list[TableRow], result: Result, suspected: int) -> str:
    shown = [
        [str(name), *("-" if _number(value) is None else f"{value:.4f}" for value in values)]
        for name, *values in table
    ]
    labels = f"suspected labels: {suspected:,}, see {HTML}; leave them out of a training with "
    folds = align([["fold", *METRICS], *shown])
    return f"{folds}\n\nall parts together\n\n{describe(result)}\n\n{labels}exclude: {CSV}"
