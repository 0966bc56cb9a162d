"""output: the protocol of everything that is made of predictions."""

from malaria.inference.prediction import Prediction


class Output:
    """Takes each prediction as it comes; finished once after the last, closed in any case."""

    def add(self, prediction: Prediction) -> None:
        """Take one prediction. Raises UserError where it cannot be kept."""
        raise NotImplementedError

    def finish(self) -> None:
        """Write or print the results; not called if interrupted. Raises UserError."""
        raise NotImplementedError

    def close(self) -> None:
        """Give back files that are open; most outputs have none."""
