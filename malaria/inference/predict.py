"""predict: images -> predictions, batch by batch."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from itertools import islice

import numpy as np

from malaria.base.machine import worker_count
from malaria.inference.prediction import UNLIKE, Prediction
from malaria.inference.trained_model import TrainedModel
from malaria.pictures.images import Source, UnreadableImageError, read_image
from malaria.pictures.remote import remote_readers
from malaria.pictures.remote_path import PATHS, AnyPath, RemotePath, to_path

# Of a sum of probabilities; networks that compute in half precision are off by a hundredth.
TOLERANCE = 0.02
# Batches that wait to be worked on, for each thread.
READ_AHEAD = 2

# The pixels, or the reason why there are none.
Image = np.ndarray | str


def predict(
    sources: Iterable[Source], model: TrainedModel, *, threads: int | None = None
) -> Iterator[Prediction]:
    """Yield a Prediction for each image, in order; one that cannot be read is one too.

    Each thread reads some batches and asks the network about each; a few are held in memory at a
    time. Images on other machines are read ahead, by more threads. threads: None takes as many as
    the machine is good for.
    """
    sources = iter(sources)
    together = model.network.batch_size
    # A network that needs much memory for an image is asked about one at a time.
    count = (threads or worker_count()) if together > 1 else 1
    waiting: deque[Future[list[Prediction]]] = deque()
    with ThreadPoolExecutor(count) as pool, remote_readers() as readers:
        while True:
            while len(waiting) < READ_AHEAD * count and (some := list(islice(sources, together))):
                begun = [_begin(source, model, readers) for source in some]
                waiting.append(pool.submit(_predict_begun, some, begun, model))
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
    """Predictions in a second, what is made of them included."""

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


def _begin(source: Source, model: TrainedModel, readers: ThreadPoolExecutor) -> Callable[[], Image]:
    """A function that gives the image; of one on another machine the reading begins at once."""
    if isinstance(source, RemotePath):
        return readers.submit(_read, source, model).result
    return partial(_read, source, model)


def _read(source: Source, model: TrainedModel) -> Image:
    try:
        return read_image(source, model.metadata.pixels)
    except UnreadableImageError as error:
        return str(error)


def _predict_begun(
    sources: Sequence[Source], begun: Sequence[Callable[[], Image]], model: TrainedModel
) -> list[Prediction]:
    images = [read() for read in begun]
    readable = [image for image in images if isinstance(image, np.ndarray)]
    answers = iter(_answers(readable, model) if readable else ())
    predictions = []
    for source, image in zip(sources, images, strict=True):
        path = to_path(source) if isinstance(source, (str, *PATHS)) else None
        one = Prediction(error=image) if isinstance(image, str) else next(answers)
        predictions.append(replace(one, path=path))
    return predictions


def _answers(images: Sequence[np.ndarray], model: TrainedModel) -> Iterator[Prediction]:
    """The Prediction of each image, without its path."""
    known, positive = model.metadata.labels, model.metadata.positive
    pixels, size = np.stack(images), model.network.batch_size
    parts = [pixels[start : start + size] for start in range(0, len(pixels), size)]
    answers = [model.answer(part) for part in parts]
    probabilities = np.concatenate([part for part, _ in answers])
    reasons = [reason for _, part in answers for reason in part]
    labels, notes = model.decide(probabilities), model.find_notes(pixels)
    # The seven digits that a float32 has, and not the noise behind them.
    rows = probabilities.astype(np.float64).round(7).tolist()
    for label, row, unlike, note in zip(labels, rows, reasons, notes, strict=True):
        if are_probabilities(row):
            label = UNLIKE if unlike else label
            place = known.index(label) if label in known else positive
            yield Prediction(None, label, row[place], tuple(row), unlike=unlike, note=note)
        else:
            yield Prediction(error=f"the network gave no probabilities: {_describe(row, model)}")


def _describe(row: Sequence[float], model: TrainedModel) -> str:
    """What the network gave in their place."""
    is_of_scores = model.metadata.output == "scores" and np.isnan(row).all()
    return "scores that are all 0, or no numbers" if is_of_scores else str(tuple(row))


def are_probabilities(numbers: Sequence[float]) -> bool:
    """True if all are 0..1 and together 1, but for rounding; not for NaN."""
    return all(0 <= number <= 1 for number in numbers) and abs(sum(numbers) - 1) < TOLERANCE
