"""findings: an Assessment as text for people, as JSON and for the HTML page."""

from malaria.base.errors import printable
from malaria.base.tables import align
from malaria.evaluation.result import reliability, roc_points

# What people call the figures.
TITLES = {
    "f1": "F1",
    "auc": "AUC",
    "brier": "Brier score",
    "calibration_error": "calibration error",
}


def to_json(assessment, **more):
    """The content of metrics.json, plain values only. more: further keys, such as unreadable=3."""
    return {
        "images": len(assessment.labels),
        **more,
        "labels": assessment.names,
        "images_by_label": assessment.counts,
        "positive": assessment.names[assessment.positive],
        "threshold": assessment.threshold if len(assessment.names) == 2 else None,
        "figures": {name: figure._asdict() for name, figure in assessment.figures.items()},
        "intervals": assessment.intervals,
        "confusion": {"row": "true", "column": "predicted", "counts": assessment.confusion},
        "worst_mistakes": assessment.mistakes,
    }


def to_report(assessment):
    """What page.Page.write takes as its evaluation."""
    answers = (assessment.labels, assessment.probabilities, assessment.positive)
    return {
        "metrics": [
            {"name": TITLES.get(name, name), **figure._asdict()}
            for name, figure in assessment.figures.items()
        ],
        "confusion": assessment.confusion,
        "roc": roc_points(*answers),
        "reliability": reliability(*answers),
        "report": assessment.report,
    }


def describe(assessment):
    """An Assessment as text for people."""
    confusion = [
        ["true, predicted as", *assessment.names],
        *([name, *row] for name, row in zip(assessment.names, assessment.confusion, strict=True)),
    ]
    parts = [
        _describe_images(assessment),
        align([["figure", "value", "95 % interval"], *_figure_rows(assessment.figures)]),
        _describe_intervals(assessment.intervals),
        assessment.report.rstrip("\n"),
        "confusion matrix, row = true label, column = predicted label\n" + align(confusion),
        _describe_mistakes(assessment.mistakes),
    ]
    return "\n\n".join(parts)


def describe_comparison(assessments, comparisons, images_per_second):
    """Several models side by side, and each against the first, as text for people.

    assessments, images_per_second: by the model's name. comparisons: as from compare_with_first.
    """
    first_name, first = next(iter(assessments.items()))
    rows = [["figure", *assessments]]
    for name in first.figures:
        figures = [assessment.figures[name] for assessment in assessments.values()]
        rows.append([TITLES.get(name, name), *(" ".join(_texts(figure)) for figure in figures)])
    rows.append(["images per second", *(f"{images_per_second[name]:.1f}" for name in assessments)])
    differences = [
        _describe_difference(name, first_name, comparison)
        for name, comparison in comparisons.items()
    ]
    return "\n\n".join([align(rows), _describe_intervals(first.intervals), *differences])


def _describe_difference(name, first_name, comparison):
    title = f"{name} minus {first_name}, on the same resamples"
    rows = [["figure", "difference", "95 % interval"]]
    rows += _figure_rows(comparison.differences, sign="+")
    test = (
        f"right in {name} only: {comparison.only_one:,} images; in {first_name} only: "
        f"{comparison.only_other:,}; McNemar's exact p = {comparison.p_value:.2g}, if images were "
        "independent"
    )
    return "\n".join([printable(title), align(rows), printable(test)])


def _describe_images(assessment):
    counts = ", ".join(f"{count:,} {name}" for name, count in assessment.counts.items())
    positive = assessment.names[assessment.positive]
    rule = f"positive is {positive}, predicted from probability {assessment.threshold:.4g} on"
    if len(assessment.names) > 2:
        rule = "predicted is the likeliest label"
    return printable(f"{len(assessment.labels):,} images: {counts}; {rule}")


def _describe_intervals(intervals):
    drawn = f"{intervals['count']:,} {intervals['resampled']}"
    text = (
        f"intervals: {intervals['method']}, {intervals['resamples']:,} resamples of {drawn}, "
        f"seed {intervals['seed']}"
    )
    if intervals["resampled"] == "images":
        text += "; too narrow if one patient has several of them"
    return text


def _describe_mistakes(mistakes):
    lines = [
        f"{mistake['probability']:.4f} {mistake['predicted']}, truly {mistake['true']}: "
        f"{mistake['path']}"
        for mistake in mistakes
    ]
    head = "the surest mistakes, with the probability of the predicted label"
    return "\n".join([head, *map(printable, lines)]) if lines else "no mistakes"


def _figure_rows(figures, sign=""):
    return [[TITLES.get(name, name), *_texts(figure, sign)] for name, figure in figures.items()]


def _texts(figure, sign=""):
    """The value and the interval of a Figure as texts; - for what is undefined."""
    value, low, high = ("-" if number is None else f"{number:{sign}.4f}" for number in figure)
    return value, "-" if figure.low is None else f"[{low}, {high}]"
