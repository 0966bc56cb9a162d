"""agreement_text: an Agreement as text for people."""

from collections.abc import Iterator
from typing import Any

from malaria.base.proportions import describe_share
from malaria.base.text import align
from malaria.evaluation.bland_altman import compare
from malaria.fields.agreement import Agreement
from malaria.inference.prediction import REVIEW, UNLIKE


def describe_agreement(agreement: Agreement) -> str:
    """Cells found, labels and parasitaemia as text for people."""
    kinds = agreement.by_kind()
    head = ["whole red cells, annotated as", "cells", "found", f"called {agreement.positive}"]
    rows: list[list[Any]] = [[*head, "called otherwise", UNLIKE, REVIEW]]
    rows += [[kind, *counts.values()] for kind, counts in kinds.items()]
    ends = [*_rates(agreement), *_parasitaemia(agreement)]
    return "\n".join([*_lines(agreement), align(rows), *ends])


def _lines(agreement: Agreement) -> Iterator[str]:
    told = "red cells found, at an intersection over union of 0.5 [95 % interval]"
    yield f"{told}: {_share(*agreement.found)}"
    if some := len(agreement.complete):
        fields = "1 field" if some == 1 else f"{some:,} fields"
        yield f"precision in {fields} with every cell annotated: {_share(*agreement.precise)}"
    if agreement.others[1]:
        yield f"white cells, platelets and other things counted as red: {_share(*agreement.others)}"


def _rates(agreement: Agreement) -> Iterator[str]:
    sensitivity = describe_share(*agreement.rate("parasitized", positive=True))
    specificity = describe_share(*agreement.rate("uninfected", positive=False))
    yield f"of the found and decided: sensitivity {sensitivity}, specificity {specificity}"
    yield "intervals: Wilson's; too narrow, for cells of one patient are alike"


def _parasitaemia(agreement: Agreement) -> Iterator[str]:
    head = ["parasitaemia", "told", "annotated", "mean error", "bias", "limits", "correlation"]
    known = [
        (level, compare([*some.values()])) for level, some in agreement.pairs().items() if some
    ]
    if known:
        yield align([head, *(_row(level, values) for level, values in known)])


def _row(level: str, values: dict[str, Any]) -> list[str]:
    limits = [_percent(values[key], "+") for key in ("low", "high")]
    correlation = values["correlation"]
    return [
        f"{values['count']:,} {level}",
        *(_percent(values[key]) for key in ("told", "true", "mean_error")),
        _percent(values["bias"], "+"),
        f"[{', '.join(limits)}]" if values["low"] is not None else "-",
        "-" if correlation is None else f"{correlation:.2f}",
    ]


def _percent(value: float | None, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.2%}"


def _share(count: int, total: int) -> str:
    return f"{count:,} of {total:,}, {describe_share(count, total)}"
