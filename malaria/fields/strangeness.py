"""strangeness: tells a laboratory unlike those that a model knows, by the answers for its cells."""

from malaria.base.proportions import wilson
from malaria.evaluation.known_accuracy import find_record
from malaria.saved.metadata import Metadata

# Of the cells .04 to .20 are doubtful or unlike a single cell in laboratories that the pretrained
# model learnt from, and .30 and more in others. So this share is strange, unless the model's own
# record is less than this much below it.
STRANGE, MORE = 0.25, 0.15


def strangeness(cells: int, strange: int, metadata: Metadata) -> str | None:
    """The warning to be told before any share, or None.

    strange: how many of `cells` are doubtful to the network or unlike a cell to the guard. It takes
    enough of them: the 95 % interval of their share lies above the limit.
    """
    usual = find_record(metadata).get("strange")
    limit = max(STRANGE, usual + MORE) if isinstance(usual, float) else STRANGE
    if cells == 0 or wilson(strange, cells)[0] <= limit:
        return None
    return (
        "measured elsewhere: this figure may be several times too high; label 200 cells and run "
        f"--calibrate ({strange / cells:.0%} of the cells are doubtful or unlike those the model "
        f"knows; up to {limit:.0%} is usual)"
    )
