"""explain: Grad-CAM of images and of whole folders. It needs Keras."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from malaria.base.errors import UsageError, UserError
from malaria.base.files import check_writable, make_folder
from malaria.base.streams import log
from malaria.base.text import printable
from malaria.inference import gradcam
from malaria.inference.predict import predict
from malaria.inference.prediction import Prediction
from malaria.inference.sources import list_sources
from malaria.inference.trained_model import TrainedModel
from malaria.pictures.folders import check_outside
from malaria.pictures.images import Source, UnreadableImageError, read_image
from malaria.pictures.places import Places, UniqueNames

AT_ONCE = 16
# Images without an overlay that are named; the rest are counted.
NAMED = 10


@dataclass(frozen=True)
class Explanation:
    """The prediction of one image, and where the network looked for it.

    heat_map: (height, width), float32, 0..1, as the network takes the image; what speaks for the
    likeliest label. overlay: the image under its heat map, RGB.
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
    [(image, heat_map)] = _look(model, [(prediction, pixels)])
    return Explanation(prediction, heat_map, Image.fromarray(gradcam.overlay(image, heat_map)))


class Overlays:
    """Writes an overlay for each image, below `folder`; no two images share one.

    places: of the images that are classified. missing: how many images could be classified and not
    explained. Raises UsageError, UserError.
    """

    def __init__(self, folder: Path, places: Places, model: TrainedModel) -> None:
        check_outside(folder, places.folders, "--explain")
        self.folder, self.places, self.model = folder, places, model
        self.names = UniqueNames()
        self.missing = 0
        check_writable(folder / "overlay.png")
        _ = model.explainer  # raises before any work is done

    def explain(self, predictions: Iterable[Prediction]) -> Iterator[Prediction]:
        """Yield the predictions again, each after its overlay has been written."""
        predictions = iter(predictions)
        while batch := list(islice(predictions, AT_ONCE)):
            found = [(one, pixels) for one in batch if (pixels := self._read(one)) is not None]
            looked = _look(self.model, found)
            written = {one.path: self._save(one, *next(looked)) for one, _ in found}
            for one in batch:
                yield replace(one, overlay=written.get(one.path))
        if self.missing > NAMED:
            log(f"no overlay of {self.missing:,} images in all")

    def _read(self, one: Prediction) -> np.ndarray | None:
        if one.error is not None or one.path is None:
            return None
        try:
            return read_image(one.path, self.model.metadata.pixels)
        except UnreadableImageError as error:  # it was changed or deleted after it was classified
            self._tell_missing(one, error)
            return None

    def _save(self, one: Prediction, image: np.ndarray, heat_map: np.ndarray) -> Path | None:
        assert one.path is not None, "only files have overlays"
        below = self.places.folders_of(one.path)
        name = self.names.find(one.path.name, one.path, below) + gradcam.SUFFIX
        overlay = Path(self.folder, *below, name)
        try:
            make_folder(overlay.parent, self.folder)
            gradcam.save_overlay(overlay, image, heat_map)
        except UserError as error:  # a path too long, for example
            self._tell_missing(one, error)
            return None
        return overlay

    def _tell_missing(self, one: Prediction, error: UserError) -> None:
        self.missing += 1
        if self.missing <= NAMED:
            log(f"no overlay of {printable(one.path)}: {printable(error)}")


def _look(
    model: TrainedModel, found: Sequence[tuple[Prediction, np.ndarray]]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(image in RGB, its heat map) of each prediction and its image, as read_image gives it."""
    if not found:
        return
    pixels = np.stack([image for _, image in found])
    # Doubtful cells have no label of the model's; what speaks for the likelier is shown.
    labels = np.array([one.probabilities for one, _ in found]).argmax(axis=1)
    heat_maps = model.explainer.heat_maps(model.scale(pixels), labels)
    is_reversed = model.metadata.pixels.colour == "BGR"
    yield from zip(pixels[..., ::-1] if is_reversed else pixels, heat_maps, strict=True)
