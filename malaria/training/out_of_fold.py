"""out_of_fold: the answers of all parts of a cross-validation, put together and written."""

import numpy as np

from malaria.base.errors import UserError
from malaria.base.files import write_csv, write_json, write_text
from malaria.base.tables import align
from malaria.evaluation import format as findings
from malaria.evaluation import plots
from malaria.evaluation.label_errors import write_suspects
from malaria.evaluation.metrics import area_under_roc
from malaria.evaluation.result import Assessment, reliability
from malaria.training.artifacts import write_answers

FIGURES = ("accuracy", "sensitivity", "specificity", "auc")


def write_summary(config, data, parts, folder):
    """Write every figure of all parts, the pictures and the suspects; return a text for people.

    parts: (training, validation) of each; folder: where fold1.npy, ... lie. Raises UserError.
    """
    probabilities = np.empty((len(data.labels), len(config.labels)), np.float32)
    rows = []
    for number, (_, validation) in enumerate(parts, start=1):
        part = _read_answers(folder / f"fold{number}.npy", probabilities[validation].shape)
        probabilities[validation] = part
        rows.append(list(part_figures(data.labels[validation], part, config).values()))
    table = _mean_rows(rows)
    write_csv(folder / "folds.csv", ["fold", *FIGURES], table)
    samples = data.pixels.samples
    write_answers(
        folder / "out_of_fold.csv",
        samples=samples,
        names=config.labels,
        labels=data.labels,
        probabilities=probabilities,
    )
    assessment = _assess(data.labels, probabilities, config, samples)
    more = {"folds": len(parts), "split_by": config.split_by, "by_fold": dict(_by_figure(table))}
    write_json(folder / "metrics.json", findings.to_json(assessment, **more))
    _write_pictures(config, folder, assessment)
    count = write_suspects(
        folder,
        samples,
        probabilities,
        source=config.train_images,
        names=config.labels,
        positive=config.positive,
    )
    text = _describe_all(table, assessment, count)
    write_text(folder / "evaluation.txt", f"{text}\n")
    return text


def part_figures(labels, probabilities, config):
    """{name of FIGURES: number}; None for what is not defined."""
    figures = _assess(labels, probabilities, config, resamples=1).figures
    return {name: figures[name].value for name in FIGURES}


def _assess(labels, probabilities, config, samples=None, **settings):
    groups = [sample.patient for sample in samples] if samples else None
    return Assessment(
        paths=[str(sample.path) for sample in samples] if samples else [],
        labels=labels,
        probabilities=probabilities,
        names=list(config.labels),
        positive=config.labels.index(config.positive),
        threshold=config.threshold,
        groups=groups,
        **settings,
    )


def _read_answers(path, shape):
    try:
        answers = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(
            f"cannot read {path}: {error}; delete {path.with_suffix('.json')} and --resume"
        ) from None
    if answers.shape != shape:
        raise UserError(f"{path}: expected probabilities {shape}, received {answers.shape}")
    return answers


def _mean_rows(rows):
    """Rows of (fold or name, figures): each fold, then the mean and the sample deviation."""
    values = np.array(rows, np.float64)
    mean, deviation = values.mean(axis=0), values.std(axis=0, ddof=1)
    numbered = [[number, *row] for number, row in enumerate(rows, start=1)]
    return [*numbered, ["mean", *mean.tolist()], ["deviation", *deviation.tolist()]]


def _by_figure(table):
    """Pairs (figure, {"mean", "deviation"}); None for what is not defined."""
    for place, name in enumerate(FIGURES, start=1):
        mean, deviation = table[-2][place], table[-1][place]
        yield name, {"mean": _number(mean), "deviation": _number(deviation)}


def _number(value):
    return None if value is None or np.isnan(value) else value


def _describe_all(table, assessment, suspects):
    shown = [
        [str(name), *("-" if _number(value) is None else f"{value:.4f}" for value in values)]
        for name, *values in table
    ]
    parts = [
        align([["fold", *FIGURES], *shown]),
        "all parts together",
        findings.describe(assessment),
        f"suspected labels: {suspects:,}, see suspects.html; leave them out of a training with "
        "exclude: suspects.csv",
    ]
    return "\n\n".join(parts)


def _write_pictures(config, folder, assessment):
    names, positive = config.labels, config.positive
    labels, probabilities = assessment.labels, assessment.probabilities
    auc = area_under_roc(labels, probabilities)
    plots.plot_roc(folder / "roc.svg", labels, probabilities, names, auc=auc, positive=positive)
    plots.plot_confusion(folder / "confusion_matrix.svg", assessment.confusion, names)
    bins = reliability(labels, probabilities, assessment.positive)
    plots.plot_reliability(folder / "reliability.svg", bins, positive)
