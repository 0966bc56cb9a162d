"""predict_fields: images of whole smears -> predictions of the red cells in them."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import islice

import numpy as np
from PIL import Image

from malaria.base.errors import UserError
from malaria.base.machine import worker_count
from malaria.fields.field_detector import load_detector
from malaria.fields.found import Find, cut
from malaria.inference.predict import predict
from malaria.inference.prediction import Prediction
from malaria.inference.trained_model import TrainedModel
from malaria.pictures.images import opened, read_image
from malaria.pictures.remote_path import AnyPath

NO_CELLS = "no red cells found in this field"
SINGLE = "a single cell, no field: leave out --fields"
NO_SMEAR = "no thin smear: most of what looks like a cell in it is none"
# From this share of cells that the guard calls none on.
MOSTLY = 0.6
# A field has more cells than this; an image of one cell may show parts of others.
FEW = 3
# And where no guard tells single cells, it is larger than this, pixels.
SMALL = 256


def predict_fields(
    paths: Iterable[AnyPath],
    model: TrainedModel,
    *,
    find: Find | None = None,
    threads: int | None = None,
) -> Iterator[Prediction]:
    """Yield a Prediction with its box for each red cell, field by field, in the order of `paths`.

    A field that cannot be read, that has no cells or that is a single cell is one Prediction with
    the reason as its error. What is found besides is a Prediction with one of the labels APART.
    Each thread holds one field in memory; large ones wait for each other. find: called by several
    threads; None: the pretrained detector. threads: as in `predict`. Raises UserError without one.
    """
    find = find or load_detector()
    paths = iter(paths)
    waiting: deque[Future[list[Prediction]]] = deque()
    count = threads or worker_count()
    with ThreadPoolExecutor(count) as pool:
        while True:
            for path in islice(paths, count - len(waiting)):
                waiting.append(pool.submit(_predict_field, path, model, find))
            if not waiting:
                return
            yield from waiting.popleft().result()


def _predict_field(path: AnyPath, model: TrainedModel, find: Find) -> list[Prediction]:
    try:
        with opened(path) as field:
            return _predict_opened(path, field, model, find)
    except UserError as error:
        return [Prediction(path, error=str(error))]


def _predict_opened(
    path: AnyPath, field: Image.Image, model: TrainedModel, find: Find
) -> list[Prediction]:
    found = find(path, field)
    red = [one for one in found if one.label is None]
    # Of boxes that somebody gave it is known that they are cells.
    is_told = any(one.probability is None for one in found)
    if not is_told and len(red) <= FEW and _is_single(field, model):
        return [Prediction(path, error=SINGLE)]
    if not red:
        return [Prediction(path, error=NO_CELLS)]
    # One thread, for each field has one.
    cells = list(predict((cut(field, one.box) for one in red), model, threads=1))
    if not is_told and sum(one.unlike is not None for one in cells) >= MOSTLY * len(cells):
        return [Prediction(path, error=NO_SMEAR)]
    answers = iter(cells)
    return [
        replace(next(answers), path=path, box=one.box)
        if one.label is None
        else Prediction(path, one.label, one.probability, box=one.box)
        for one in found
    ]


def _is_single(field: Image.Image, model: TrainedModel) -> bool:
    """True if the whole image is one cell, as far as anybody can tell."""
    if model.guard is None:
        return max(field.size) < SMALL
    image = read_image(field, model.metadata.pixels)
    return model.find_unlike(image[np.newaxis]) == [None]
