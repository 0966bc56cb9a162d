"""save: write a model that was read, with all that is known of it."""

from pathlib import Path

from malaria.base.streams import log
from malaria.base.text import printable
from malaria.inference.classifier import Classifier


def save_as_pair(classifier: Classifier, path: Path) -> None:
    """Write the model as a pair with all that is known of it. Raises UserError."""
    # Late, since it brings TensorFlow with it.
    from malaria.networks.save import save_pair

    metadata = classifier.metadata
    entries = metadata.details | metadata.to_entries()
    pair = save_pair(classifier.load_keras(), path.parent, path.stem, entries)
    log(f"saved {printable(pair.weights)}, its .json and its .tflite")
