"""suggest: the labels, channels and scale that a model of others was probably trained with."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from malaria.evaluation.metrics import METRICS, compute_metrics, score
from malaria.inference.overrides import SCALES
from malaria.inference.predict import predict
from malaria.inference.prediction import Prediction
from malaria.inference.trained_model import TrainedModel

# Labelled images that are asked about for each way of reading them.
LOOKED_AT = 60
# A way is worth telling if its AUC is higher by this.
WORTH = 0.05


def suggest(model: TrainedModel, labelled: Sequence[Prediction]) -> str | None:
    """Options that make more of the answers right, in one line, or None if these are the best.

    labelled: predictions of files with their true labels. The AUC decides, which needs no
    threshold; far below one half it says that the labels are in the other order.
    """
    step = max(1, len(labelled) // LOOKED_AT)
    sample = list(labelled[::step])
    labels = model.metadata.labels
    truths = np.array([labels.index(one.true_label or "") for one in sample])
    if len(labels) != 2 or len(np.unique(truths)) < 2:
        return None
    found = {options: _auc(way, sample, truths) for options, way in _ways(model)}
    present = next(iter(found.values()))
    best = max(found, key=lambda options: abs(found[options] - 0.5))
    auc = max(found[best], 1 - found[best])
    if auc < present + WORTH:
        return None
    order = f"--labels={labels[1]},{labels[0]} " if found[best] < 0.5 else ""
    return (
        f"of {len(sample)} of these images the AUC is {present:.3f} as it is read now, and "
        f"{auc:.3f} with {order}{best}: try it on others"
    )


def _ways(model: TrainedModel) -> Iterator[tuple[str, TrainedModel]]:
    """(options, the model read so); the present way first."""
    metadata = model.metadata
    present = metadata.pixels
    yield f"--channels={present.colour.lower()}", model
    colours = ("GREY",) if present.colour == "GREY" else ("RGB", "BGR")
    for colour, (name, (scale, offset)) in product(colours, SCALES.items()):
        pixels = replace(present, colour=colour, scale=scale, offset=offset)
        way = replace(model, metadata=replace(metadata, pixels=pixels))
        yield f"--channels={colour.lower()} --scale={name}", way


def _auc(model: TrainedModel, sample: Sequence[Prediction], truths: np.ndarray) -> float:
    """0.5 where the answers are no probabilities."""
    paths = [one.path for one in sample if one.path is not None]
    answers = [one.probabilities for one in predict(paths, model)]
    if any(answer is None for answer in answers):
        return 0.5
    scored = score(truths, np.array(answers), positive=model.metadata.positive, threshold=0.5)
    return float(compute_metrics(scored)[0][METRICS.index("auc")])
