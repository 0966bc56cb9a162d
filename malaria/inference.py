"""inference: a classifier from a saved pair."""

from dataclasses import dataclass, replace

import numpy as np

from malaria.decisions import decide, label_probabilities
from malaria.errors import UsageError, printable
from malaria.passport import Passport, find_pair, network_size, read_architecture, read_passport


@dataclass(frozen=True)
class Classifier:
    """A network with all that is needed to feed it and to read it.

    network: (n, height, width, 3) float32 -> its outputs, (n, 1) or (n, number of labels).
    """

    passport: Passport
    network: object

    def predict(self, images):
        """Probabilities (n, number of labels), in label order, of (n, height, width, 3) uint8."""
        scaled = images.astype(np.float32) * np.float32(self.passport.pixels.scale)
        return label_probabilities(self.network(scaled))

    def decide(self, probabilities):
        """The names of the predicted labels, a list, by the model's threshold."""
        labels, positive = self.passport.labels, self.passport.positive_label
        numbers = decide(
            probabilities, positive=labels.index(positive), threshold=self.passport.threshold
        )
        return [labels[number] for number in numbers]


def load_classifier(path, *, labels=None, size=None):
    """The Classifier saved at `path`: a .h5, its .json, or a folder, where the newest counts.

    labels, size (height, width): in place of what a historic pair does not say. Raises UserError.
    """
    pair = find_pair(path)
    architecture = read_architecture(pair)
    passport = read_passport(pair, architecture)
    network, outputs = _load_keras(pair, architecture)
    fixed = network_size(architecture)
    return Classifier(_override(passport, outputs, fixed, labels, size), network)


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
    positive = labels[passport.labels.index(passport.positive_label)]
    pixels = replace(passport.pixels, size=tuple(size or passport.pixels.size))
    return replace(passport, labels=labels, positive_label=positive, pixels=pixels)


def _load_keras(pair, architecture):
    """The pair's network as a function, and how many outputs it has."""
    # Late, since it brings TensorFlow with it: seconds that --help and a wrong path need not pay.
    from malaria.storage import load_model

    model = load_model(pair, architecture)
    return (lambda images: model.predict_on_batch(images)), model.output_shape[-1]
