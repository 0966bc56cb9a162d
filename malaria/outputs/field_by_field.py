"""field_by_field: the base of the outputs of --fields that want the cells of a field together."""

from collections.abc import Sequence

from malaria.inference.prediction import Prediction
from malaria.outputs.output import Output


class FieldByField(Output):
    """Keeps the cells of one field at a time; their order is that of the fields."""

    def __init__(self) -> None:
        self._waiting: list[Prediction] = []

    def add(self, prediction: Prediction) -> None:
        """Keep one cell until its field is whole. Raises UserError."""
        if self._waiting and self._waiting[-1].path != prediction.path:
            self._finish_field()
        self._waiting.append(prediction)

    def finish(self) -> None:
        """Take the last field: what other classes do at the end comes after it."""
        if self._waiting:
            self._finish_field()

    def add_field(self, cells: Sequence[Prediction]) -> None:
        """Take all that was found in one field, one prediction at least. Raises UserError."""
        raise NotImplementedError

    def _finish_field(self) -> None:
        cells, self._waiting = self._waiting, []
        self.add_field(cells)
