"""output: the protocol of everything that is made of predictions."""

from malaria.inference.prediction import Prediction


class Output:
    """Takes each prediction as it comes; finished once after the last, closed in any case."""

    def add(self, prediction: Prediction) -> None:
        """Take one prediction. Raises UserError where it cannot be kept."""
        raise NotImplementedError

    def finish(self) -> None:
        """Write or print what there is to say in the end; not called of an interrupted run.

        Raises UserError where it cannot be.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Give back files that are open; most outputs have none."""
