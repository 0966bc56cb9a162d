"""grid: the first images with their labels, as one PNG."""

from contextlib import suppress
from pathlib import Path

import numpy as np

from malaria.base.streams import log
from malaria.base.text import printable, shorten
from malaria.evaluation.plots import plot_grid
from malaria.inference.prediction import Prediction
from malaria.outputs.output import Output
from malaria.pictures.images import UnreadableImageError, open_image

PLOTTED = 64  # images, at most
SIDE = 128
LABEL_LENGTH = 24


class Grid(Output):
    """Keeps the first readable predictions and plots their images."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.shown: list[Prediction] = []

    def add(self, prediction: Prediction) -> None:
        """Keep the prediction while there is room."""
        if prediction.error is None and len(self.shown) < PLOTTED:
            self.shown.append(prediction)

    def finish(self) -> None:
        """Write the PNG; of no images there is none."""
        images, titles = [], []
        for one in self.shown:
            # It may be gone by now.
            with suppress(UnreadableImageError):
                images.append(np.asarray(open_image(one.path or "").resize((SIDE, SIDE))))
                titles.append(f"{shorten(one.label, LABEL_LENGTH)} {one.probability:.3f}")
        if images:
            plot_grid(self.path, images, titles)
            log(f"saved {printable(self.path)}")
