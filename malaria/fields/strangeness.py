"""strangeness: tells a laboratory unlike those that a model knows, by the answers for its cells."""

from collections.abc import Iterator

from malaria.base.proportions import wilson
from malaria.base.text import printable
from malaria.evaluation.known_accuracy import find_record
from malaria.saved.metadata import Metadata

# Of the cells .04 to .20 are doubtful or unlike a single cell in laboratories that the pretrained
# model learnt from, and .30 and more in others. So this share is strange, unless the model's own
# record is less than this much below it.
STRANGE, MORE = 0.25, 0.15
# Few patients have more parasitized red cells: it is a mark of severe malaria (WHO 2014, Severe
# malaria, Trop Med Int Health 19 Suppl 1:7-131). False alarms are the likelier reason.
RARE = 0.1


def strangeness(cells: int, strange: int, called: int, metadata: Metadata) -> str | None:
    """The warning to be told before any share, or None.

    strange: how many of `cells` are doubtful to the network or unlike a cell to the guard; called:
    how many are called positive. It takes enough of them: the 95 % interval of their share lies
    above the limit.
    """
    reasons = "; ".join(_reasons(cells, strange, called, metadata)) if cells else ""
    if not reasons:
        return None
    return (
        "measured elsewhere: this figure may be several times too high; label 200 cells and run "
        f"--calibrate ({reasons})"
    )


def _reasons(cells: int, strange: int, called: int, metadata: Metadata) -> Iterator[str]:
    usual = find_record(metadata).get("strange")
    limit = max(STRANGE, usual + MORE) if isinstance(usual, float) else STRANGE
    if wilson(strange, cells)[0] > limit:
        yield (
            f"{strange / cells:.0%} of the cells are doubtful or unlike those the model knows; up "
            f"to {limit:.0%} is usual"
        )
    if wilson(called, cells)[0] > RARE:
        yield (
            f"{called / cells:.0%} of the cells are called {printable(metadata.positive_label)}; "
            f"more than {RARE:.0%} is rare in patients"
        )
