"""classify: image paths -> predictions, batch by batch."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from malaria.data.images import UnreadableImageError, read_image
from malaria.inference.classifier import worker_count

# More is no faster with LiteRT on a CPU, and each picture of a batch takes some MB.
BATCH_SIZE = 8
# Batches that wait to be worked on, for each thread.
READ_AHEAD = 2


@dataclass(frozen=True)
class Prediction:
    """What the network says of one picture.

    probability: of `label`, or of the positive label for one in doubt; probabilities: of every
    label, in order. error: why the picture could not be read, and then the others are None.
    """

    path: Path
    label: str | None = None
    probability: float | None = None
    probabilities: tuple[float, ...] | None = None
    error: str | None = None


def classify(paths, classifier, *, batch_size=BATCH_SIZE):
    """Yield a Prediction for each path, in order; a picture that cannot be read is one too.

    Each thread reads a batch and then asks the network about it, while others read or ask; a few
    batches at a time are held in memory.
    """
    paths = iter(paths)
    waiting = deque()
    count = worker_count()
    with ThreadPoolExecutor(count) as threads:
        while True:
            while len(waiting) < READ_AHEAD * count and (batch := list(islice(paths, batch_size))):
                waiting.append(threads.submit(_predict, batch, classifier))
            if not waiting:
                return
            yield from waiting.popleft().result()


def _read(path, classifier):
    """The picture, or the reason why it is none."""
    try:
        return read_image(path, classifier.passport.pixels)
    except UnreadableImageError as error:
        return str(error)


def _predict(paths, classifier):
    """The Predictions of these paths, a list."""
    pictures = [_read(path, classifier) for path in paths]
    images = [picture for picture in pictures if not isinstance(picture, str)]
    answers = iter(_answers(images, classifier) if images else ())
    predictions = []
    for path, picture in zip(paths, pictures, strict=True):
        if isinstance(picture, str):
            predictions.append(Prediction(path, error=picture))
            continue
        label, probabilities = next(answers)
        probability = probabilities[_place(label, classifier.passport)]
        predictions.append(Prediction(path, label, probability, probabilities))
    return predictions


def _place(label, passport):
    """The place of a label, or of the positive one for a label that is none of the model's."""
    known = label if label in passport.labels else passport.positive_label
    return passport.labels.index(known)


def _answers(images, classifier):
    """(label, probabilities) of each picture."""
    probabilities = classifier.predict(np.stack(images))
    labels = classifier.decide(probabilities)
    # The seven digits that a float32 has, and not the noise behind them.
    rows = probabilities.astype(np.float64).round(7).tolist()
    return [(label, tuple(row)) for label, row in zip(labels, rows, strict=True)]
