"""load: a classifier from a saved pair, on the quickest engine that this machine has."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from malaria.base.errors import UsageError, UserError
from malaria.base.files import sha256_of
from malaria.base.machine import nvidia_smi_works, usable_cores, worker_count
from malaria.base.streams import log
from malaria.base.text import printable
from malaria.inference import litert
from malaria.inference.classifier import Classifier, Network
from malaria.saved import tflite
from malaria.saved.metadata import Metadata, network_size, read_metadata
from malaria.saved.pair import Architecture, Pair, default_pair, find_pair, read_architecture

Engine = Literal["auto", "litert", "keras"]


def load_classifier(
    path: Path | str | None = None,
    *,
    engine: Engine = "auto",
    many: bool = False,
    labels: Sequence[str] | None = None,
    size: tuple[int, int] | None = None,
) -> Classifier:
    """The Classifier saved at `path`.

    Args:
        path: a .h5, its .json, or a folder, where the newest pair counts; None: the pretrained one.
        engine: "litert" answers in a quarter of a second; "keras" also knows GPUs, and takes
            seconds to start; "auto" is Keras only where LiteRT cannot be, or for `many` images on a
            GPU.
        many: whether thousands of images are to be classified.
        labels: names in place of those that a historic pair does not say, label 0 first.
        size: (height, width) in place of what a historic pair does not say.

    Raises:
        UserError: nothing to load there, or files that are damaged or do not belong together.
        UsageError: labels or a size that the network cannot have.
    """
    pair = find_pair(default_pair() if path is None else path)
    architecture = read_architecture(pair)
    metadata = read_metadata(pair, architecture)
    weights = metadata.details.get("weights_sha256") or sha256_of(pair.weights)
    digest = tflite.digest_pair(weights, architecture)
    network, outputs, afterwards = _load(pair, architecture, digest, engine, many)
    metadata = _override(metadata, outputs, network_size(architecture), labels, size)
    return Classifier(metadata, network, pair, afterwards)


# A network, the number of its outputs, and what to do afterwards for a quicker next start.
Loaded = tuple[Network, int, Callable[[], Path] | None]


def _load(
    pair: Pair, architecture: Architecture, digest: bytes, engine: Engine, many: bool
) -> Loaded:
    has_litert = engine != "keras" and litert.is_available()
    if engine == "litert" and not has_litert:
        raise UserError("--engine litert: not installed here; pip install ai-edge-litert")
    sealed = tflite.find_sealed(pair, digest) if has_litert else None
    if sealed and not (engine == "auto" and many and nvidia_smi_works()):
        return _open_tflite(sealed)
    return _load_keras(pair, architecture, digest, engine, keep=has_litert and not sealed)


def _open_tflite(sealed: Path) -> Loaded:
    network = litert.LiteRTNetwork(sealed, cores=max(1, usable_cores() // worker_count()))
    return network, network.output_count, None


def _load_keras(
    pair: Pair, architecture: Architecture, digest: bytes, engine: Engine, *, keep: bool
) -> Loaded:
    """keep: whether the network is to be kept as a .tflite for the next start."""
    # Late, since it brings TensorFlow with it: seconds that the common path need not pay.
    from malaria.networks.load import load_model

    model = load_model(pair, architecture)
    afterwards = partial(_keep_tflite, model, pair, digest) if keep else None
    if engine == "litert" and afterwards:
        return _open_tflite(afterwards())
    return _in_turn(model.predict_on_batch), model.output_shape[-1], afterwards


def _in_turn(network: Network) -> Network:
    """The same network for one thread at a time: Keras builds it when it is first asked."""
    lock = threading.Lock()

    def ask(images: Any) -> Any:
        with lock:
            return network(images)

    return ask


def _keep_tflite(model: Any, pair: Pair, digest: bytes) -> Path:
    """Make the .tflite for the next time; return its path."""
    from malaria.networks.export import to_tflite

    return tflite.keep_sealed(pair, to_tflite(model), digest)


def _override(
    metadata: Metadata,
    outputs: int,
    fixed: tuple[int, int] | None,
    labels: Sequence[str] | None,
    size: tuple[int, int] | None,
) -> Metadata:
    """fixed: (height, width) that the network asks for, or None."""
    labels = tuple(labels or metadata.labels)
    _check_labels(labels, 2 if outputs == 1 else outputs)
    _check_size(metadata, fixed, size)
    positive = labels[metadata.positive]
    pixels = replace(metadata.pixels, size=size or metadata.pixels.size)
    return replace(metadata, labels=labels, positive_label=positive, pixels=pixels)


def _check_labels(labels: Sequence[str], expected: int) -> None:
    if len(labels) != expected:
        raise UsageError(
            f"--labels: the network tells {expected} labels apart; received {len(labels)}: "
            f"{printable(', '.join(labels))}"
        )


def _check_size(
    metadata: Metadata, fixed: tuple[int, int] | None, size: tuple[int, int] | None
) -> None:
    if size is not None and fixed is not None and tuple(size) != fixed:
        raise UsageError(
            f"--resize: the network takes {fixed[0]},{fixed[1]} (height, width) and no other; "
            f"received {size[0]},{size[1]}"
        )
    if fixed not in (None, metadata.pixels.size):
        raise UserError(
            f"the metadata says images of {metadata.pixels.size}, the network takes {fixed} "
            "(height, width): copy both files again from where they were trained"
        )


def prepare_next_start(classifier: Classifier) -> None:
    """Write what makes the next start quick, if it is missing. Where it cannot be, say so."""
    if classifier.afterwards is None:
        return
    try:
        log(f"saved {printable(classifier.afterwards())}, with which the next start is quick")
    except UserError as error:
        log(f"the next start will not be quicker: {printable(error)}")
