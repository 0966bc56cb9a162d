"""grid: the first pictures with their labels, as one PNG."""

from pathlib import Path

import numpy as np

from malaria.base.streams import log
from malaria.base.text import printable
from malaria.data.images import open_image
from malaria.evaluation.plots import plot_grid
from malaria.inference.prediction import Prediction
from malaria.outputs.output import Output

# As many pictures fit a grid that a person can still look at.
PLOTTED = 64
SIDE = 128


class Grid(Output):
    """Keeps the first readable predictions and plots their pictures."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.shown: list[Prediction] = []

    def add(self, prediction: Prediction) -> None:
        """Keep the prediction while there is room."""
        if prediction.error is None and len(self.shown) < PLOTTED:
            self.shown.append(prediction)

    def finish(self) -> None:
        """Write the PNG; of no pictures there is none."""
        if not self.shown:
            return
        images = [
            np.asarray(open_image(one.path).resize((SIDE, SIDE))) for one in self.shown if one.path
        ]
        titles = [f"{one.label} {one.probability:.3f}" for one in self.shown]
        plot_grid(self.path, images, titles)
        log(f"saved {printable(self.path)}")
