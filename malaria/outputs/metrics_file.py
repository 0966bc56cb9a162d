"""metrics_file: the metrics of --evaluate, as text on stderr and in a .json."""

from pathlib import Path
from typing import Any

from malaria.base.files import write_json
from malaria.base.streams import log
from malaria.base.text import printable
from malaria.evaluation.format import describe, to_json
from malaria.inference.labelled_predictions import LabelledPredictions
from malaria.inference.prediction import Prediction
from malaria.outputs.output import Output


class MetricsFile(Output):
    """Collects what --evaluate needs, tells the Result and writes it."""

    def __init__(self, path: Path, collected: LabelledPredictions) -> None:
        self.path, self.collected = path, collected

    def add(self, prediction: Prediction) -> None:
        """Keep the prediction, if it has a true label."""
        self.collected.add(prediction)

    def finish(self) -> None:
        """Raises UserError if no image had a label."""
        result, collected = self.collected.result, self.collected
        log(describe(result))
        known = collected.to_entries() | {"notes": list(self.notes)}
        save_metrics(self.path, to_json(result, **known, model=collected.model.name))


def save_metrics(path: Path | str, content: Any) -> None:
    """Write --metrics and say so."""
    write_json(path, content)
    log(f"saved {printable(path)}")
