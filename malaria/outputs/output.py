"""output: the protocol of everything that is made of predictions."""

from malaria.inference.prediction import Prediction


class Output:
    """Takes each prediction as it comes, and is finished once after the last.

    An interrupted run is not finished; what an output holds by then is given back by `close`, which
    is called in any case.
    """

    def add(self, prediction: Prediction) -> None:
        """Take one prediction. Raises UserError where it cannot be kept."""
        raise NotImplementedError

    def finish(self) -> None:
        """Write or print what there is to say in the end. Raises UserError where it cannot be."""
        raise NotImplementedError

    def close(self) -> None:
        """Give back files that are open; most outputs have none."""
