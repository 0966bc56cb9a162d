"""predict: pictures -> predictions, batch by batch."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from malaria.base.machine import worker_count
from malaria.inference.prediction import UNLIKE, Prediction
from malaria.pictures.images import Source, UnreadableImageError, read_image
from malaria.pictures.remote import remote_readers
from malaria.pictures.remote_path import AnyPath, RemotePath, to_path

if TYPE_CHECKING:
    from malaria.inference.classifier import Classifier

# More is no faster with LiteRT on a CPU, and each picture of a batch takes some MB.
BATCH_SIZE = 8
# The guard is asked about so many batches at once: its work on one is so little that threads would
# mostly wait for each other.
BATCHES_TOGETHER = 4
# Of a sum of probabilities; networks that compute in half precision are off by a hundredth.
TOLERANCE = 0.02
NO_PROBABILITY = "the network gave no probabilities:"
# What the tensors of a batch may take, weights included; the original's network at 141 px: 250 MB.
BATCH_BYTES = 2**29
# Batches that wait to be worked on, for each thread.
READ_AHEAD = 2

# The pixels, or the reason why there are none.
Picture = np.ndarray | str


def predict(
    sources: Iterable[Source],
    classifier: "Classifier",
    *,
    batch_size: int | None = None,
    threads: int | None = None,
) -> Iterator[Prediction]:
    """Yield a Prediction for each picture, in order; one that cannot be read is one too.

    Each thread reads some batches and then asks the network about each, while others read or ask; a
    few are held in memory at a time. Those on other machines are read ahead, by more threads.
    batch_size: None takes fewer pictures at once for a network that needs much memory for each.
    threads: None takes as many as the machine is good for.
    """
    sources = iter(sources)
    batch_size = batch_size or affordable(classifier)
    waiting: deque[Future[list[Prediction]]] = deque()
    count = (threads or worker_count()) if batch_size > 1 else 1
    together = batch_size
    if classifier.guard and batch_size > 1:
        together = max(together, BATCHES_TOGETHER * BATCH_SIZE)
    with ThreadPoolExecutor(count) as pool, remote_readers() as readers:
        while True:
            while len(waiting) < READ_AHEAD * count and (some := list(islice(sources, together))):
                begun = [_begin(source, classifier, readers) for source in some]
                waiting.append(pool.submit(_predict_begun, some, begun, classifier, batch_size))
            if not waiting:
                return
            yield from _result_of(waiting.popleft())


def _result_of(future: Future[list[Prediction]]) -> list[Prediction]:
    # Python may see a Ctrl-C that comes as a wait begins at its end only.
    while not wait([future], timeout=0.5).done:
        pass
    return future.result()


def annotate(
    predictions: Iterable[Prediction],
    *,
    group_of: Callable[[AnyPath], str | None],
    label_of: Callable[[AnyPath], str | None] = lambda path: None,
) -> Iterator[Prediction]:
    """Yield the predictions of files with their group and their true label."""
    for one in predictions:
        if one.path is not None:
            one = replace(one, group=group_of(one.path), true_label=label_of(one.path))
        yield one


class Rate:
    """How many predictions come in a second, what is made of them included."""

    def __init__(self) -> None:
        self.count, self.started, self.ended = 0, 0.0, 0.0

    def measure(self, predictions: Iterable[Prediction]) -> Iterator[Prediction]:
        """Yield the predictions, and count them."""
        self.started = self.ended = time.perf_counter()
        for prediction in predictions:
            self.count, self.ended = self.count + 1, time.perf_counter()
            yield prediction

    @property
    def per_second(self) -> float:
        """0 before the first one."""
        return self.count / max(self.ended - self.started, 1e-9)


def affordable(classifier: "Classifier") -> int:
    """How many pictures the network is asked about at once."""
    each = getattr(classifier.network, "picture_bytes", 0)
    most = getattr(classifier.network, "at_once", None) or BATCH_SIZE
    return int(min(most, max(1, BATCH_BYTES // max(1, each))))


def predict_some(
    sources: Sequence[Source], classifier: "Classifier", batch_size: int
) -> list[Prediction]:
    """The predictions of some pictures, held in memory together, asked about batch by batch."""
    begun = [partial(_read, source, classifier) for source in sources]
    return _predict_begun(sources, begun, classifier, batch_size)


def _begin(
    source: Source, classifier: "Classifier", readers: ThreadPoolExecutor
) -> Callable[[], Picture]:
    """What gives the picture; of one on another machine the reading begins at once."""
    if isinstance(source, RemotePath):
        return readers.submit(_read, source, classifier).result
    return partial(_read, source, classifier)


def _predict_begun(
    sources: Sequence[Source],
    begun: Sequence[Callable[[], Picture]],
    classifier: "Classifier",
    batch_size: int,
) -> list[Prediction]:
    """begun: what gives the picture of each source."""
    pictures = [read() for read in begun]
    images = [picture for picture in pictures if isinstance(picture, np.ndarray)]
    answers = iter(_answers(images, classifier, batch_size) if images else ())
    predictions = []
    for source, picture in zip(sources, pictures, strict=True):
        path = to_path(source) if isinstance(source, (str, Path, RemotePath)) else None
        if isinstance(picture, str):
            predictions.append(Prediction(path, error=picture))
            continue
        label, probabilities, unlike = next(answers)
        if not are_probabilities(probabilities):
            predictions.append(Prediction(path, error=f"{NO_PROBABILITY} {probabilities}"))
            continue
        probability = probabilities[_place(label, classifier)]
        predictions.append(Prediction(path, label, probability, probabilities, unlike=unlike))
    return predictions


def are_probabilities(numbers: Sequence[float]) -> bool:
    """Whether these are 0..1 and together 1, but for rounding; NaN is not."""
    return all(0 <= number <= 1 for number in numbers) and abs(sum(numbers) - 1) < TOLERANCE


def _read(source: Source, classifier: "Classifier") -> Picture:
    try:
        return read_image(source, classifier.metadata.pixels)
    except UnreadableImageError as error:
        return str(error)


def _place(label: str, classifier: "Classifier") -> int:
    """The place of a label, or of the positive one for a label that is none of the model's."""
    labels = classifier.metadata.labels
    return labels.index(label) if label in labels else classifier.metadata.positive


def _answers(
    images: Sequence[np.ndarray], classifier: "Classifier", batch_size: int
) -> list[tuple[str, tuple[float, ...], str | None]]:
    """(label, probabilities, why it is unlike a cell) of each picture."""
    pixels = np.stack(images)
    parts = [pixels[start : start + batch_size] for start in range(0, len(pixels), batch_size)]
    probabilities = np.concatenate([classifier.predict(part) for part in parts])
    reasons = classifier.find_unlike(pixels)
    decided = zip(classifier.decide(probabilities), reasons, strict=True)
    labels = [UNLIKE if reason else label for label, reason in decided]
    # The seven digits that a float32 has, and not the noise behind them.
    rows = probabilities.astype(np.float64).round(7).tolist()
    answers = zip(labels, rows, reasons, strict=True)
    return [(label, tuple(row), reason) for label, row, reason in answers]
