"""output: the protocol of everything that is made of predictions."""

from collections.abc import Sequence

from malaria.inference.prediction import Prediction


class Output:
    """Takes each prediction as it comes; finished once after the last, closed in any case.

    notes: lines about the whole run, as of what was passed over; set before `finish`.
    """

    notes: Sequence[str] = ()

    def add(self, prediction: Prediction) -> None:
        """Take one prediction. Raises UserError where it cannot be kept."""
        raise NotImplementedError

    def finish(self) -> None:
        """Write or print the results; not called if interrupted. Raises UserError."""
        raise NotImplementedError

    def close(self) -> None:
        """Give back files that are open; most outputs have none."""
