"""folds: cross-validation, where each image is judged by a network that never saw its patient."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from malaria import findings, plots
from malaria.backend import keras
from malaria.command import say
from malaria.devices import set_determinism
from malaria.errors import UsageError, UserError
from malaria.evaluation import Assessment, reliability
from malaria.files import write_csv, write_text
from malaria.finish import judge, passport_entries
from malaria.metrics import area_under_roc
from malaria.outcome import write_answers
from malaria.prepare import describe_sides, load_data
from malaria.resume import ResumePoint, digest_samples
from malaria.splits import fold_samples
from malaria.storage import save_pair
from malaria.suspects import write_suspects
from malaria.tables import align
from malaria.training import fit, set_up

FIGURES = ("accuracy", "sensitivity", "specificity", "auc")


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
    if isinstance(config.threshold, str):
        raise UsageError(
            f"--folds: expected threshold: a number; received {config.threshold}, which would be "
            "chosen on the images that are reported"
        )
    folder = Path(config.output_models) / f"folds_{config.identity}_{count}"
    _check_folder(folder, resume=resume)
    device = set_up(config)
    data = load_data(config)
    parts = fold_samples(
        data.pixels.samples, by=config.split_by, count=count, seed=config.random_state
    )
    _check_samples(folder, data.pixels.samples)
    for number, (training, validation) in enumerate(parts, start=1):
        say(f"fold {number} of {count}")
        _run_fold(config, data.sides(training, validation), device, folder, number)
    return _summarise(config, data, parts, folder)


def _check_folder(folder, *, resume):
    if resume and not folder.is_dir():
        raise UserError(f"nothing to resume: expected {folder}; start without --resume")
    if folder.exists() and not resume:
        raise UserError(
            f"{folder} holds a cross-validation of these settings: go on with --resume, or delete "
            "it to begin anew"
        )


def _check_samples(folder, samples):
    """Raise UserError if the finished parts of the folder were of other images."""
    path, digest = folder / "images.json", digest_samples(samples)
    if path.exists() and json.loads(path.read_text(encoding="utf-8")) != digest:
        raise UserError(f"the images have changed since {path} was written: delete {folder}")
    write_text(path, json.dumps(digest))


def _run_fold(config, data, device, folder, number):
    """Train and judge one part, unless that is done; its pair is written last."""
    name = f"fold{number}"
    if (folder / f"{name}.json").is_file():
        say("done earlier")
        return
    for line in describe_sides(config, data):
        say(line)
    keras.backend.clear_session()
    # Each part begins alike, whether the others ran before it or not.
    set_determinism(config.random_state, deterministic=config.deterministic)
    point = ResumePoint(folder, name)
    model, progress = fit(config, data, device, point, resume=point.path.exists())
    judged = judge(config, data, model)
    say(f"{name}: " + _describe(_figures(judged.labels, judged.probabilities, config)))
    np.save(folder / f"{name}.npy", judged.probabilities)
    save_pair(model, folder, name, passport_entries(config, data, progress, judged))
    point.remove()


def _figures(labels, probabilities, config):
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


def _describe(figures):
    return ", ".join(f"{name} {value:.4f}" for name, value in figures.items() if value is not None)


def _summarise(config, data, parts, folder):
    """Put the parts together; write every figure, and return the CrossValidation."""
    probabilities = np.empty((len(data.labels), len(config.labels)), np.float32)
    rows = []
    for number, (_, validation) in enumerate(parts, start=1):
        part = np.load(folder / f"fold{number}.npy", allow_pickle=False)
        probabilities[validation] = part
        rows.append(list(_figures(data.labels[validation], part, config).values()))
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
    write_text(
        folder / "metrics.json", json.dumps(findings.to_json(assessment, **more), indent=1) + "\n"
    )
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
    return CrossValidation(folder, text)


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
