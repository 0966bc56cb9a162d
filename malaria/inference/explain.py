"""explain: Grad-CAM of images and of whole folders. It needs Keras."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from malaria.base.errors import UsageError, UserError
from malaria.base.files import check_writable
from malaria.base.streams import log
from malaria.base.text import printable
from malaria.inference import gradcam
from malaria.inference.predict import predict
from malaria.inference.prediction import Prediction
from malaria.inference.sources import list_sources
from malaria.inference.trained_model import TrainedModel
from malaria.pictures.folders import check_outside, source_of
from malaria.pictures.images import Source, UnreadableImageError, read_image
from malaria.pictures.remote_path import AnyPath

AT_ONCE = 16
# Images without an overlay that are named; the rest are counted.
NAMED = 10


@dataclass(frozen=True)
class Explanation:
    """The prediction of one image, and where the network looked for it.

    heat_map: (height, width), float32, 0..1, of the image as the network takes it; what speaks
    for the likeliest label. overlay: the image under its heat map, a PIL image, RGB.
    """

    prediction: Prediction
    heat_map: np.ndarray
    overlay: Image.Image


def explain(model: TrainedModel, source: Source) -> Explanation:
    """The Explanation of one image; see Classifier.explain."""
    sources = list_sources(source)
    if len(sources) != 1:
        raise UsageError(f"expected one image; received {len(sources)}")
    pixels = read_image(sources[0], model.metadata.pixels)  # raises with the reason
    [prediction] = predict(sources, model)
    [(image, heat_map)] = _look(model, [pixels], [prediction])
    overlay = Image.fromarray(gradcam.overlay(image, heat_map))
    return Explanation(prediction, heat_map, overlay)


class Overlays:
    """Writes an image of where the network looked for each image, below `folder`.

    missing: how many images could be classified and not explained.
    """

    def __init__(self, folder: Path, sources: Sequence[AnyPath], model: TrainedModel) -> None:
        """sources: the folders that are classified. Raises UsageError, UserError."""
        check_outside(folder, sources, "--explain")
        self.folder, self.sources, self.model = folder, sources, model
        self.missing = 0
        check_writable(folder / "overlay.png")
        _ = model.explainer  # raises before any work is done

    def explain(self, predictions: Iterable[Prediction]) -> Iterator[Prediction]:
        """Yield the predictions again, each after its overlay has been written."""
        predictions = iter(predictions)
        while batch := list(islice(predictions, AT_ONCE)):
            written = self._write([one for one in batch if one.error is None])
            for one in batch:
                yield replace(one, overlay=written.get(one.path))

    def _write(self, shown: Sequence[Prediction]) -> dict[AnyPath | None, Path]:
        """{image: its overlay}, of those that can be read and written."""
        found = [(one, pixels) for one in shown if (pixels := self._read(one)) is not None]
        if not found:
            return {}
        shown, pixels = zip(*found, strict=True)
        looked = zip(shown, _look(self.model, pixels, shown), strict=True)
        paths = {one.path: self._save(one.path, *images) for one, images in looked if one.path}
        return {path: overlay for path, overlay in paths.items() if overlay}

    def _read(self, prediction: Prediction) -> np.ndarray | None:
        try:
            return read_image(prediction.path or "", self.model.metadata.pixels)
        except UnreadableImageError as error:  # it was changed or deleted after it was classified
            self._tell_missing(prediction.path, error)
            return None

    def _save(self, path: AnyPath, image: np.ndarray, heat_map: np.ndarray) -> Path | None:
        overlay = gradcam.overlay_path(
            path, source=source_of(path, self.sources), folder=self.folder
        )
        try:
            gradcam.save_overlay(overlay, image, heat_map)
        except UserError as error:  # a name too long, for example
            self._tell_missing(path, error)
            return None
        return overlay

    def _tell_missing(self, path: AnyPath | None, error: UserError) -> None:
        """Count an image without an overlay: no reason to stop a whole folder."""
        self.missing += 1
        if self.missing <= NAMED:
            log(f"no overlay of {printable(path)}: {printable(error)}")

    def tell_missing(self) -> None:
        """Say how many images have no overlay, if more than were named."""
        if self.missing > NAMED:
            log(f"no overlay of {self.missing:,} images in all")


def _look(
    model: TrainedModel, images: Sequence[np.ndarray], predictions: Sequence[Prediction]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(image in RGB, its heat map) of each. images: as read_image gives them."""
    pixels = np.stack(images)
    # Doubtful cells have no label of the model's; what speaks for the likelier is shown.
    labels = np.array([one.probabilities for one in predictions]).argmax(axis=1)
    heat_maps = model.explainer.heat_maps(model.scale(pixels), labels)
    is_reversed = model.metadata.pixels.colour == "BGR"
    return zip(pixels[..., ::-1] if is_reversed else pixels, heat_maps, strict=True)
