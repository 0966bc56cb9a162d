"""inference: a classifier from a saved pair."""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from malaria.base.errors import UsageError, UserError, printable
from malaria.base.machine import nvidia_smi_works, usable_cores
from malaria.evaluation.decisions import decide, label_probabilities
from malaria.inference.tta import VIEWS, average, turn
from malaria.saved import tflite as lite
from malaria.saved.metadata import (
    Pair,
    Passport,
    find_pair,
    network_size,
    read_architecture,
    read_passport,
    sha256_of,
)

# Each has a copy of the weights and room for a batch: at most 60 MB for the original's network.
MOST_WORKERS = 4
# What a cell in doubt is called in place of a label.
REVIEW = "review"


@dataclass(frozen=True)
class Classifier:
    """A network with all that is needed to feed it and to read it.

    network: (n, height, width, 3) float32 -> its outputs, (n, 1) or (n, number of labels).
    afterwards: None, or what makes the next start quicker: called once the results are told, it
    returns the path it wrote. review: see `deciding`.
    """

    passport: Passport
    network: Callable
    pair: Pair | None = None
    afterwards: Callable | None = None
    review: tuple[float, float] | None = None

    @property
    def name(self):
        """The model's, as its files are named."""
        return self.pair.weights.stem

    @property
    def answers(self):
        """Every label that `decide` may give."""
        return (*self.passport.labels, REVIEW) if self.review else self.passport.labels

    @property
    def identity(self):
        """Hexadecimal digits, the same for classifiers that answer alike."""
        text = repr((_sha256(self.pair, self.passport), self.passport.labels, self.review))
        pixels = repr((self.passport.threshold, self.passport.pixels, self.passport.tta))
        return hashlib.sha256((text + pixels).encode()).hexdigest()

    def deciding(self, *, threshold=None, review=None, tta=None):
        """The same Classifier with another threshold, or with doubtful cells labelled "review".

        review: (low, high), on the probability of the positive label. tta: whether answers are
        averaged over views. None: as the passport says. Raises UsageError for the first two beyond
        two labels, and for tta with images that are not square.
        """
        if (threshold, review) != (None, None) and len(self.passport.labels) > 2:
            raise UsageError("--threshold and --review are for two labels; this model has more")
        threshold = self.passport.threshold if threshold is None else threshold
        tta = self.passport.tta if tta is None else tta
        height, width = self.passport.pixels.size
        if tta and height != width:
            raise UsageError(f"--tta: quarter turns need square images, not {height} x {width}")
        passport = replace(self.passport, threshold=threshold, tta=tta)
        return replace(self, passport=passport, review=review)

    def load_keras(self):
        """The network in Keras, for what needs its gradients."""
        return _load_keras(self.pair, read_architecture(self.pair))

    def scale(self, images):
        """(n, height, width, 3) uint8 as the network takes it, float32."""
        return images.astype(np.float32) * np.float32(self.passport.pixels.scale)

    def predict(self, images):
        """Probabilities (n, number of labels), in label order, of (n, height, width, 3) uint8."""
        images = self.scale(images)
        if not self.passport.tta:
            return label_probabilities(self.network(images))
        return label_probabilities(average(self.network(turn(images, view)) for view in VIEWS))

    def decide(self, probabilities):
        """The names of the labels, a list, by the threshold; REVIEW for those in doubt."""
        labels = self.passport.labels
        positive = labels.index(self.passport.positive_label)
        numbers = decide(probabilities, positive=positive, threshold=self.passport.threshold)
        low, high = self.review or (1.0, 0.0)
        doubtful = (low < probabilities[:, positive]) & (probabilities[:, positive] < high)
        return [
            REVIEW if is_doubtful else labels[number]
            for number, is_doubtful in zip(numbers, doubtful, strict=True)
        ]


def load_classifier(path, *, engine="auto", many=False, labels=None, size=None):
    """The Classifier saved at `path`: a .h5, its .json, or a folder, where the newest counts.

    engine: "litert" answers in a quarter of a second; "keras" also knows GPUs, and takes seconds to
    start; "auto" is Keras only where LiteRT cannot be, or for `many` images on a GPU. labels, size
    (height, width): in place of what a historic pair does not say. Raises UserError.
    """
    pair = find_pair(path)
    architecture = read_architecture(pair)
    passport = read_passport(pair, architecture)
    digest = lite.digest_pair(_sha256(pair, passport), architecture)
    network, outputs, afterwards = _load(pair, architecture, digest, engine, many)
    passport = _override(passport, outputs, network_size(architecture), labels, size)
    return Classifier(passport, network, pair, afterwards)


def _sha256(pair, passport):
    """Of the .h5; reading a passport has already computed it."""
    return passport.details.get("weights_sha256") or sha256_of(pair.weights)


def _load(pair, architecture, digest, engine, many):
    """(network, number of its outputs, what to do afterwards or None)."""
    has_lite = engine != "keras" and lite.is_available()
    if engine == "litert" and not has_lite:
        raise UserError("--engine litert: not installed here; pip install ai-edge-litert")
    sealed = lite.find_sealed(pair, digest) if has_lite else None
    if sealed and not (engine == "auto" and many and nvidia_smi_works()):
        return *_open_lite(sealed), None
    model = _load_keras(pair, architecture)
    keep = partial(_keep_lite, model, pair, digest) if has_lite and not sealed else None
    if engine == "litert":
        return *_open_lite(keep()), None
    return _in_turn(model.predict_on_batch), model.output_shape[-1], keep


def _open_lite(path):
    network = lite.LiteNetwork(path, cores=max(1, usable_cores() // worker_count()))
    return network, network.output_count


def worker_count():
    """How many threads ask a network at once; the cores beyond that speed up each of them."""
    return min(usable_cores(), MOST_WORKERS)


def _in_turn(network):
    """The same network for one thread at a time: Keras builds it when it is first asked."""
    lock = threading.Lock()

    def ask(images):
        with lock:
            return network(images)

    return ask


def _load_keras(pair, architecture):
    # Late, since it brings TensorFlow with it: seconds that the common path need not pay.
    from malaria.networks.storage import load_model

    return load_model(pair, architecture)


def _keep_lite(model, pair, digest):
    """Make the .tflite for the next time; return its path."""
    from malaria.networks.storage import to_tflite

    return lite.keep_sealed(pair, to_tflite(model), digest)


def _override(passport, outputs, fixed, labels, size):
    labels = tuple(labels or passport.labels)
    expected = 2 if outputs == 1 else outputs
    if len(labels) != expected:
        raise UsageError(
            f"--labels: the network tells {expected} labels apart; received {len(labels)}: "
            f"{printable(', '.join(labels))}"
        )
    if size is not None and fixed is not None and tuple(size) != fixed:
        raise UsageError(
            f"--resize: the network takes {fixed[0]},{fixed[1]} (height, width) and no other; "
            f"received {size[0]},{size[1]}"
        )
    if fixed not in (None, passport.pixels.size):
        raise UserError(
            f"the passport says images of {passport.pixels.size}, the network takes {fixed} "
            "(height, width): copy both files again from where they were trained"
        )
    positive = labels[passport.labels.index(passport.positive_label)]
    pixels = replace(passport.pixels, size=tuple(size or passport.pixels.size))
    return replace(passport, labels=labels, positive_label=positive, pixels=pixels)
