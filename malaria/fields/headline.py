"""headline: a parasitaemia in words, never without its interval and what it leaves out."""

from collections.abc import Iterator
from typing import Any

from malaria.base.text import align, printable
from malaria.evaluation.parasitaemia import FEWEST, Accuracy, predictive_value
from malaria.fields.field_counts import best_share
from malaria.inference.prediction import LEUKOCYTE

# A share of positive cells that is common among patients, and for which models are hardly measured.
FEW = 0.01
# At most this many fields are listed for people; the file of the table has all.
LISTED = 30


def describe_row(row: dict[str, Any]) -> str:
    """The best share of a row of `tally` with its interval; a warning comes before it."""
    if row["error"] is not None or best_share(row) is None:
        return printable(row["error"] or "-")
    text = f"{percent(best_share(row))} [{percent(row['low'])}, {percent(row['high'])}]"
    return text if row["warning"] is None else f"measured elsewhere: {text}"


def describe_rows(
    rows: list[dict[str, Any]], positive: str, *, is_corrected: bool
) -> Iterator[str]:
    """The rows of patients, of the first fields and of all, as a table for people."""
    hidden = sum(row["level"] == "field" for row in rows) - LISTED
    shown = [*rows[: -1 - hidden], rows[-1]] if hidden > 0 else rows
    kind = "corrected" if is_corrected else "called"
    head = ["patient or field", "red cells", positive, f"{kind} share [95 % interval]"]
    yield align([head, *map(_cells, shown)])
    if hidden > 0:
        yield f"and {hidden:,} more fields"


def _cells(row: dict[str, Any]) -> list[str]:
    every = "1 field" if row["fields"] == 1 else f"all {row['fields']:,} fields"
    name = {"field": row["name"], "patient": f"patient {row['name']}", "all": every}[row["level"]]
    counts = [f"{row['red cells']:,}", f"{row['positive']:,}"]
    return [name, *(counts if row["error"] is None else "--"), describe_row(row)]


def headline(row: dict[str, Any], positive: str) -> str:
    """What is told first of all fields: the share, or how large it may be if none is seen."""
    doubted = f"; {row['doubted']:,} more are doubted" if row["doubted"] else ""
    return _describe_best(row, printable(positive)) + doubted


def _describe_best(row: dict[str, Any], positive: str) -> str:
    if best_share(row) is None:
        return "no red cells"
    if row["positive"] == 0:
        return f"none seen in {row['red cells']:,} cells: at most {percent(row['high'])} {positive}"
    kind = "called" if row["corrected"] is None else "corrected"
    low, high = percent(row["low"]), percent(row["high"])
    text = f"{percent(best_share(row))} {positive}, {kind} [95 % interval {low}, {high}]"
    return f"not told apart from none: {text}" if row["low"] == 0 else text


def explain(
    row: dict[str, Any], fields: int, positive: str, accuracy: Accuracy | str
) -> Iterator[str]:
    """Lines about how the headline's numbers came about, and what they leave out.

    accuracy: of the model, or why it is not known.
    """
    if best_share(row) is None:
        return
    share = percent(row["parasitaemia"])
    called = f"{row['positive']:,} of {row['red cells']:,} red cells ({share}) are called "
    yield called + printable(positive)
    if isinstance(accuracy, str):
        yield f"not corrected for what the model gets wrong, which may be most of it: {accuracy}"
    else:
        yield from _describe_correction(row, accuracy)
    yield _describe_effect(row, fields)
    yield (
        "not corrected for: cells that were not found or are no single cells to the guard, and how "
        "this laboratory and this patient differ from those that the model was measured on"
    )
    if not isinstance(accuracy, str) and row["positive"]:
        yield describe_worth(row["corrected"], accuracy, positive)
    yield _describe_more(row["cells to halve"])
    if "per microlitre" in row:
        yield _describe_density(row)


def _describe_correction(row: dict[str, Any], accuracy: Accuracy) -> Iterator[str]:
    sensitivity, specificity = accuracy.sensitivity, accuracy.specificity
    yield (
        f"corrected for the model's sensitivity {percent(sensitivity)} and specificity "
        f"{percent(specificity)}, and the interval holds their uncertainty: they were measured on "
        f"cells that tell as much as {accuracy.positives:,.0f} and {accuracy.negatives:,.0f} "
        "independent ones"
    )
    if row["low"] == 0 and row["positive"]:
        most = min(1, row["parasitaemia"] / sensitivity) if sensitivity else 1
        yield (
            f"the model's false alarms alone ({percent(1 - specificity)}) may explain what is "
            f"called; if it gives none here, {percent(most)} are: look at these cells"
        )


def _describe_effect(row: dict[str, Any], fields: int) -> str:
    if fields == 1 or row["positive"] in (0, row["red cells"]):
        return (
            "cells of one field are alike; how much cannot be told here: the truth is less certain"
        )
    effect = row["design effect"]
    return f"the interval holds that cells of one field are alike (design effect {effect:.1f})"


def _describe_more(more: int | None) -> str:
    if more is None:
        return (
            "no number of cells more would halve the interval: label more cells, and run "
            "--calibrate with them"
        )
    return f"{more:,} cells more, of more fields, would halve the interval"


def describe_worth(share: float, accuracy: Accuracy, positive: str) -> str:
    """What a call is worth at the corrected share, and where few cells are positive."""
    # No alarm among a few hundred cells is no promise of none.
    accuracy = accuracy.smoothed()
    shares = [share] if 0 < share <= FEW else [share, FEW] if share else [FEW]
    worth = [
        f"about {100 * predictive_value(one, accuracy):.0f} truly are if {percent(one)} of all are"
        for one in shares
    ]
    text = " and ".join(worth)
    return (
        f"by the model's record, of 100 cells called {printable(positive)} {text}: the fewer there "
        "are, the more of those called are false alarms"
    )


def _describe_density(row: dict[str, Any]) -> str:
    if row["per microlitre"] is None:
        return "parasites per microlitre cannot be told: no leukocyte was found"
    number, low, high = (f"{row['per microlitre' + end]:,}" for end in ("", ", low", ", high"))
    text = f"{number} [{low}, {high}] parasites per microlitre, if each such cell holds one"
    if "white cells per microlitre" not in row:
        return text
    few = f", too few: count {FEWEST} or more" if row[LEUKOCYTE] < FEWEST else ""
    per = f"{row['white cells per microlitre']:,.0f}"
    return f"{text}, and a microlitre {per} leukocytes; {row[LEUKOCYTE]:,} were found{few}"


def percent(share: float | None) -> str:
    """A share for people, with two digits where it is below 1 %."""
    if share is None:
        return "-"
    return f"{share:.2%}" if 0 < share < 0.01 else f"{share:.1%}"
