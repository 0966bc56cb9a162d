"""format: a Result as text for people, as JSON, and for the HTML report."""

from collections.abc import Mapping, Sequence
from typing import Any

from malaria.base.text import align, printable
from malaria.evaluation.bootstrap import Comparison, Estimate
from malaria.evaluation.metrics import reliability, roc_points
from malaria.evaluation.result import Result

# The metrics that are told where there is room for a few.
MAIN = ("accuracy", "sensitivity", "specificity", "auc")
# The names of metrics for people, where these differ from the keys.
TITLES = {
    "f1": "F1",
    "auc": "AUC",
    "brier": "Brier score",
    "calibration_error": "calibration error",
    "cross_entropy": "cross-entropy",
}


def to_json(result: Result, **more: Any) -> dict[str, Any]:
    """The content of metrics.json, plain values only. more: further keys, such as left_out=3."""
    estimates = {name: one._asdict() for name, one in result.metrics.items()}
    return {
        "images": len(result.labels),
        **more,
        "labels": list(result.label_names),
        "images_by_label": result.counts,
        "positive": result.positive_label,
        "threshold": result.threshold if len(result.label_names) == 2 else None,
        "metrics": estimates,
        # The name that this key had before; scripts may still ask for it.
        "figures": estimates,
        "by_label": result.by_label if len(result.label_names) > 2 else None,
        "by_source": {
            name: {"images_by_label": one.counts, **one.values}
            for name, one in result.by_source.items()
        },
        "intervals": result.intervals,
        "confusion": {"row": "true", "column": "predicted", "counts": result.confusion},
        "worst_mistakes": result.mistakes,
    }


def to_report(result: Result) -> dict[str, Any]:
    """The evaluation that html_report.Page.write takes."""
    answers = result.labels, result.probabilities, result.positive
    return {
        "metrics": [
            {"name": title_of(name), **one._asdict()} for name, one in result.metrics.items()
        ],
        "confusion": result.confusion,
        "roc": roc_points(*answers),
        "reliability": reliability(*answers),
        "report": result.classification_report,
    }


def title_of(metric: str) -> str:
    """The name of this metric for people."""
    return TITLES.get(metric, metric)


def describe(result: Result) -> str:
    """A Result as text for people."""
    matrix: list[list[Any]] = [["true, predicted as", *result.label_names]]
    matrix += [[a, *row] for a, row in zip(result.label_names, result.confusion, strict=True)]
    parts = [
        _describe_images(result),
        _describe_metrics(result.metrics),
        _describe_intervals(result.intervals),
        _describe_labels(result) if len(result.label_names) > 2 else "",
        describe_sources(result) if result.by_source else "",
        result.classification_report.rstrip("\n"),
        "confusion matrix, row = true label, column = predicted label\n" + align(matrix),
        _describe_mistakes(result.mistakes),
    ]
    return "\n\n".join(filter(None, parts))


def describe_sources(result: Result) -> str:
    """The metrics of each source as a table for people; - for what its labels leave undefined."""
    rows = [["source", *result.label_names, *map(title_of, MAIN)]]
    for source, one in result.by_source.items():
        shown = [_number(one.values[name]) for name in MAIN]
        rows.append([source, *map(str, one.counts.values()), *shown])
    return align(rows)


def brief(result: Result) -> str:
    """The main metrics that its labels define, on one line."""
    known = {name: result.values[name] for name in MAIN if result.values[name] is not None}
    return ", ".join(f"{title_of(name)} {value:.4f}" for name, value in known.items())


def describe_comparison(
    results: Mapping[str, Result],
    comparisons: Mapping[str, Comparison],
    images_per_second: Mapping[str, float],
) -> str:
    """Several models, by name, side by side, and each against the first, as text for people."""
    first_name, first = next(iter(results.items()))
    rows: list[Sequence[str]] = [["metric", *results]]
    for name in first.metrics:
        estimates = [result.metrics[name] for result in results.values()]
        rows.append([title_of(name), *(" ".join(texts_of(one)) for one in estimates)])
    rows.append(["images per second", *(f"{images_per_second[name]:.1f}" for name in results)])
    differences = [_describe_difference(name, first_name, one) for name, one in comparisons.items()]
    return "\n\n".join([align(rows), _describe_intervals(first.intervals), *differences])


def _describe_difference(name: str, first_name: str, comparison: Comparison) -> str:
    title = f"{name} minus {first_name}, on the same resamples"
    test = (
        f"right in {name} only: {comparison.only_one:,} images; in {first_name} only: "
        f"{comparison.only_other:,}; McNemar's exact p = {comparison.p_value:.2g}, if images were "
        "independent"
    )
    table = _describe_metrics(comparison.differences, "difference", sign="+")
    return "\n".join([printable(title), table, printable(test)])


def _describe_images(result: Result) -> str:
    counts = ", ".join(f"{count:,} {name}" for name, count in result.counts.items())
    rule = "the predicted label is the likeliest"
    if len(result.label_names) == 2:
        rule = (
            f"the positive label is {result.positive_label}, predicted from a probability of "
            f"{result.threshold:.4g} on"
        )
    return printable(f"{len(result.labels):,} images: {counts}; {rule}")


def _describe_intervals(intervals: Mapping[str, Any]) -> str:
    text = "intervals: {method}, {resamples:,} resamples of {count:,} {resampled}, seed {seed}"
    if intervals["resampled"] == "images":
        text += "; too narrow if one patient has several of them"
    return text.format_map(intervals)


def _describe_labels(result: Result) -> str:
    rows = [[name, *map(_number, values.values())] for name, values in result.by_label.items()]
    return align([["each label against the rest", "sensitivity", "specificity", "AUC"], *rows])


def _describe_mistakes(mistakes: Sequence[Mapping[str, Any]]) -> str:
    if not mistakes:
        return "no mistakes"
    form = "{probability:.4f} {predicted}, truly {true}: {path}"
    lines = [printable(form.format_map(mistake)) for mistake in mistakes]
    return "\n".join(["the surest mistakes, with the probability of the predicted label", *lines])


def _describe_metrics(
    estimates: Mapping[str, Estimate], value: str = "value", sign: str = ""
) -> str:
    rows = [[title_of(name), *texts_of(one, sign)] for name, one in estimates.items()]
    return align([["metric", value, "95 % interval"], *rows])


def texts_of(one: Estimate, sign: str = "") -> tuple[str, str]:
    """The value and the interval of an Estimate as texts; - for what is undefined."""
    value, low, high = (_number(number, sign) for number in one)
    return value, "-" if one.low is None else f"[{low}, {high}]"


def _number(value: float | None, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.4f}"
