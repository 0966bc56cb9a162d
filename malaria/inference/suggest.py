"""suggest: the labels and pixels with which a model of others was probably trained."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product, zip_longest
from random import Random
from shlex import quote

import numpy as np
from scipy.stats import t as student

from malaria.evaluation.format import title_of
from malaria.evaluation.label_order import best_order
from malaria.evaluation.metrics import METRICS, compute_metrics, score
from malaria.inference.overrides import SCALES
from malaria.inference.predict import predict
from malaria.inference.prediction import Prediction
from malaria.inference.trained_model import TrainedModel
from malaria.pictures.images import RESAMPLINGS, PixelFormat

# Images that the network is asked about in all: the time of one pass over so many.
BUDGET = 300
# Of each way the first; of the KEPT best all of the second.
FIRST, SECOND, KEPT = 16, 40, 3
# Images that are drawn; of the resamplings what is left of the budget, in whole batches.
DRAWN, BATCH = 96, 8
# A way is clearly better if chance would make it so less often.
CHANCE = 0.01
# This many of those that come next are named.
NAMED = 4
FIGURES = ("accuracy", "auc", "brier")


@dataclass(frozen=True, eq=False)
class Way:
    """One way to read images and labels. order: the label that each output stands for.

    scores: of each image 1 minus the Brier score, which knows of wrong scales more than the AUC
    does, and less than the cross-entropy of cells unlike those of the training.
    """

    pixels: PixelFormat
    order: tuple[int, ...]
    probabilities: np.ndarray
    scores: np.ndarray

    def is_clearly_better(self, other: "Way") -> bool:
        """By a paired test on the images that both have in common."""
        count = min(len(self.scores), len(other.scores))
        # One more image on which both are alike: equal differences are no certainty.
        gains = np.append(self.scores[:count] - other.scores[:count], 0)
        error = gains.std(ddof=1) / np.sqrt(len(gains))
        return bool(gains.mean() > student.ppf(1 - CHANCE, count) * error)


def suggest(model: TrainedModel, labelled: Sequence[Prediction]) -> list[str]:
    """Lines on what was assumed of a model: whether other labels or pixels are clearly better.

    labelled: predictions of files with their true labels.
    """
    if not model.metadata.assumed & {"labels", "channels", "scale", "resampling"}:
        return []
    if len({one.true_label for one in labelled}) < 2:
        return [
            "nothing was tried in place of what was assumed: it takes images of two labels to "
            f"tell which are right, and all of these are {labelled[0].true_label}"
        ]
    trial = _Trial(model, labelled)
    others = list(_readings(model))
    trial.ask(others, FIRST)
    kept = trial.rank(filter(_is_usual, others))[:1]
    kept += trial.rank(pixels for pixels in others if pixels not in kept)[: KEPT - len(kept)]
    trial.ask(kept, SECOND)
    trial.choose(kept)
    if "resampling" in model.metadata.assumed:
        here = trial.standing.pixels
        others = [replace(here, resampling=r) for r in RESAMPLINGS if r != here.resampling]
        trial.ask(others, min(DRAWN, trial.left // len(others) // BATCH * BATCH))
        trial.choose(others)
    return trial.tell()


class _Trial:
    """The answers for some images, read in several ways. standing: the best, if that is clear."""

    def __init__(self, model: TrainedModel, labelled: Sequence[Prediction]) -> None:
        self.model, self.left = model, BUDGET
        labels = model.metadata.labels
        self.sample = _draw(labelled, labels)
        self.truths = np.array([labels.index(one.true_label or "") for one in self.sample])
        self.asked: list[PixelFormat] = []
        self.rows = {model.metadata.pixels: [one.probabilities for one in self.sample]}
        self.present = self.standing = self.way(model.metadata.pixels, range(len(labels)))

    def ask(self, readings: Iterable[PixelFormat], count: int) -> None:
        """The network's answers for the first images, read so."""
        for pixels in readings:
            rows = self.rows.setdefault(pixels, [])
            paths = [one.path for one in self.sample[len(rows) : count] if one.path is not None]
            self.left -= len(paths)
            metadata = replace(self.model.metadata, pixels=pixels)
            answers = predict(paths, replace(self.model, metadata=metadata))
            rows += [one.probabilities for one in answers]

    def rank(self, readings: Iterable[PixelFormat]) -> list[PixelFormat]:
        """The best first."""
        ways = sorted(map(self.way, readings), key=lambda way: -way.scores.mean())
        return [way.pixels for way in ways]

    def choose(self, readings: Sequence[PixelFormat]) -> None:
        """The best of these stands, if it is clearly better than what stood.

        One that is not usual has to be clearly better than the best that is. What stood is among
        them, for its labels may be in another order.
        """
        self.asked += self.rank(readings)
        ways = [self.way(self.standing.pixels), *map(self.way, readings)]
        usual = [way for way in ways[1:] if _is_usual(way.pixels)]
        best = max([ways[0], *usual], key=lambda way: way.scores.mean())
        other = max(ways, key=lambda way: way.scores.mean())
        best = other if other.is_clearly_better(best) else best
        if best.is_clearly_better(self.standing):
            self.standing = best

    def way(self, pixels: PixelFormat, order: Iterable[int] = ()) -> Way:
        """What was asked, with the labels in this order, or the best one where nobody said it."""
        rows = self._probabilities(pixels)
        if not order and "labels" in self.model.metadata.assumed:
            order = best_order(self.truths[: len(rows)], rows)
        order = tuple(order or range(rows.shape[1]))
        rows = rows[:, np.argsort(order)]
        errors = rows - np.eye(len(order))[self.truths[: len(rows)]]
        return Way(pixels, order, rows, 1 - np.square(errors).sum(axis=1) / 2)

    def _probabilities(self, pixels: PixelFormat) -> np.ndarray:
        """(n, number of labels); all alike where the network gave none."""
        count = len(self.model.metadata.labels)
        return np.array([row or (1 / count,) * count for row in self.rows[pixels]])

    def tell(self) -> list[str]:
        """One line on what stands, and one on what comes next."""
        best, present = self.standing, self.present
        ways = [self.way(pixels) for pixels in self.asked if pixels != best.pixels]
        near = [way for way in ways if not best.is_clearly_better(way)]
        shown = (near or ways)[:NAMED]
        count = min(len(way.scores) for way in (best, present, *shown))
        now = self._figures(present, count)
        tried = f"{len(self.rows)} ways to read {count} of these images were tried: "
        if best is present:
            first = f"{tried}none is clearly better than what was assumed ({now})"
        else:
            better = f"{self._figures(best, count)} with {self._options(best)}"
            first = f"{tried}{now} as they are read now; {better}: try it on others"
        listed = [f"{self._options(way)} ({self._figures(way, count)})" for way in shown]
        title = "cannot be told apart from it on so few" if near else "next best"
        return [first, *([f"{title}: {'; '.join(listed)}"] if listed else [])]

    def _figures(self, way: Way, count: int) -> str:
        metadata = self.model.metadata
        answers = self.truths[:count], way.probabilities[:count]
        scored = score(*answers, positive=metadata.positive, threshold=metadata.threshold)
        values = dict(zip(METRICS, compute_metrics(scored)[0], strict=True))
        return ", ".join(f"{title_of(name)} {values[name]:.3f}" for name in FIGURES)

    def _options(self, way: Way) -> str:
        """What to say for it; of what was said already nothing."""
        metadata = self.model.metadata
        names = [metadata.labels[label] for label in way.order]
        scales = {scale: name for name, scale in SCALES.items()}
        alike = way.pixels.resampling == metadata.pixels.resampling
        options = {
            "labels": names != [*metadata.labels] and f"--labels={quote(','.join(names))}",
            "channels": f"--channels={way.pixels.colour.lower()}",
            "scale": f"--scale={scales.get((way.pixels.scale, way.pixels.offset))}",
            "resampling": not alike and f"--resampling={way.pixels.resampling}",
        }
        return " ".join(text for name, text in options.items() if text and name in metadata.assumed)


def _readings(model: TrainedModel) -> Iterator[PixelFormat]:
    """All channels and scales that were not said, but the present ones."""
    present, assumed = model.metadata.pixels, model.metadata.assumed
    colours = ("RGB", "BGR") if "channels" in assumed else (present.colour,)
    scales = SCALES.values() if "scale" in assumed else [(present.scale, present.offset)]
    for colour, (scale, offset) in product(colours, scales):
        if (pixels := replace(present, colour=colour, scale=scale, offset=offset)) != present:
            yield pixels


def _is_usual(pixels: PixelFormat) -> bool:
    """True of what most tutorials do: RGB or grey, from 0 to 1, as it is, or from -1 to 1."""
    return pixels.colour != "BGR" and not isinstance(pixels.scale, tuple)


def _draw(labelled: Sequence[Prediction], labels: Sequence[str]) -> list[Prediction]:
    """DRAWN images or fewer, of all labels in turn, so that each beginning of it is balanced."""
    of_label = [[one for one in labelled if one.true_label == label] for label in labels]
    random, each = Random(0), -(-DRAWN // sum(map(bool, of_label)))
    drawn = [random.sample(some, min(each, len(some))) for some in of_label]
    return [one for row in zip_longest(*drawn) for one in row if one is not None]
