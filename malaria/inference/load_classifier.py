"""load_classifier: a classifier from a saved pair, on the quickest engine that this machine has."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from malaria.base.errors import UsageError, UserError
from malaria.base.gpu import nvidia_smi_works
from malaria.base.machine import usable_cores, worker_count
from malaria.base.streams import log
from malaria.base.text import printable, quote
from malaria.inference import litert
from malaria.inference.classifier import Classifier, Network
from malaria.inference.guard import Guard
from malaria.inference.trial import check_answer, try_apart
from malaria.pictures.images import PerChannel
from malaria.saved import tflite
from malaria.saved.architecture import InputShape, input_shape, with_size
from malaria.saved.metadata import Metadata, read_metadata
from malaria.saved.pair import (
    Architecture,
    Pair,
    default_pair,
    digest_of,
    find_pair,
    read_architecture,
)

Engine = Literal["auto", "litert", "keras"]
# Of the pictures that ImageNet's networks of PyTorch learnt from, by channel.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# What a network takes for grey levels 0..255: (what they are multiplied by, what is added).
SCALES: dict[str, tuple[PerChannel, PerChannel]] = {
    "255": (1 / 255, 0.0),
    "1": (1.0, 0.0),
    "-1..1": (1 / 127.5, -1.0),
    "imagenet": (
        (1 / 255 / DEVIATION[0], 1 / 255 / DEVIATION[1], 1 / 255 / DEVIATION[2]),
        (-MEAN[0] / DEVIATION[0], -MEAN[1] / DEVIATION[1], -MEAN[2] / DEVIATION[2]),
    ),
}
SLOW = "reading the .h5 takes some seconds"
REMEDY = "say otherwise with --labels, --positive, --channels, --scale"


def load_classifier(
    path: Path | str | None = None,
    *,
    engine: Engine = "auto",
    many: bool = False,
    labels: Sequence[str] | None = None,
    positive: str | None = None,
    size: tuple[int, int] | None = None,
    channels: str | None = None,
    scale: str | None = None,
) -> Classifier:
    """The Classifier saved at `path`.

    Args:
        path: a .h5 with its .json, a folder, where the newest pair counts, or what another program
            wrote: a whole-model .h5, a .keras, a SavedModel, a .tflite; None: the pretrained one.
        engine: "litert" answers in a quarter of a second; "keras" also knows GPUs, and takes
            seconds to start; "auto" is Keras only where LiteRT cannot be, or for `many` images on a
            GPU.
        many: whether thousands of images are to be classified.
        labels: names in place of those that the model says or that were assumed, label 0 first.
        positive: the label that sensitivity is of, in place of the model's.
        size: (height, width) in pixels, for a network that takes any.
        channels: "rgb", "bgr" or "grey", in place of the model's.
        scale: a key of SCALES: what the network takes for grey levels, in place of the model's.

    What the file does not say and nobody says here is assumed, and told in one line on stderr.

    Raises:
        UserError: nothing to load there, or files that are damaged or do not belong together.
        UsageError: labels, a size or channels that the network cannot have.
    """
    pair = find_pair(default_pair() if path is None else path)
    architecture = _describe_tflite(pair) if pair.kind == "tflite" else read_architecture(pair)
    metadata = read_metadata(pair, architecture)
    shape = input_shape(architecture)
    metadata = _override_pixels(metadata, shape, size, channels, scale)
    architecture = with_size(architecture, metadata.pixels.size)
    weights = metadata.details.get("weights_sha256") or digest_of(pair)
    digest = tflite.digest_pair(weights, architecture)
    network, outputs, afterwards = _load(pair, architecture, digest, engine, many)
    metadata = _override_labels(metadata, outputs, labels, positive)
    if metadata.is_assumed:
        log(f"assumed, for the model does not say it: {metadata.describe()}; {REMEDY}")
    entries = metadata.guard
    guard = None if entries is None else Guard.from_entries(entries, pair.architecture)
    classifier = Classifier(metadata, network, pair, afterwards, guard=guard)
    check_answer(classifier)
    return classifier


# A network, the number of its outputs, and what to do afterwards for a quicker next start.
Loaded = tuple[Network, int, Callable[[], Path] | None]


def _load(
    pair: Pair, architecture: Architecture, digest: bytes, engine: Engine, many: bool
) -> Loaded:
    if pair.kind == "tflite":
        return _open_lone_tflite(pair)
    has_litert = engine != "keras" and litert.is_available()
    if engine == "litert" and not has_litert:
        raise UserError("--engine litert: not installed here; pip install ai-edge-litert")
    sealed = tflite.find_sealed(pair, digest) if has_litert else None
    if sealed and not (engine == "auto" and many and nvidia_smi_works()):
        return _open_tflite(sealed)
    if has_litert and not sealed and pair.kind == "pair" and pair.tflite.exists():
        log(f"{printable(pair.tflite)} is not used, for it was not made here of this model; {SLOW}")
    return _load_keras(pair, architecture, digest, engine, keep=has_litert and not sealed)


def _open_tflite(sealed: Path) -> Loaded:
    network = litert.LiteRTNetwork(sealed, cores=max(1, usable_cores() // worker_count()))
    return network, network.output_count, None


def _open_lone_tflite(pair: Pair) -> Loaded:
    """A .tflite that is all there is, and was tried apart."""
    return _open_tflite(pair.weights)


def _describe_tflite(pair: Pair) -> Architecture:
    """What a .tflite says of its ends, once it is known to be a plain network."""
    if not litert.is_available():
        raise UserError(f"{pair.weights} needs LiteRT: pip install ai-edge-litert")
    try_apart(pair.weights)
    return litert.describe_ends(pair.weights)


def _load_keras(
    pair: Pair, architecture: Architecture, digest: bytes, engine: Engine, *, keep: bool
) -> Loaded:
    """keep: whether the network is to be kept as a .tflite for the next start."""
    # Late, since it brings TensorFlow with it: seconds that the common path need not pay.
    from malaria.networks.ask import ask, pictures_at_once
    from malaria.networks.load_model import load_model

    model = load_model(pair, architecture)
    afterwards = partial(_keep_tflite, model, pair, digest) if keep else None
    if engine == "litert" and afterwards:
        return _open_tflite(afterwards())
    network = _InTurn(partial(ask, model), pictures_at_once())
    return network, model.output_shape[-1], afterwards


class _InTurn:
    """A network for one thread at a time: Keras builds it when it is first asked.

    at_once: how many pictures it is best asked about at once; None: as any network.
    """

    def __init__(self, network: Network, at_once: int | None = None) -> None:
        self._network, self._lock, self.at_once = network, threading.Lock(), at_once

    def __call__(self, images: Any) -> Any:
        with self._lock:
            return self._network(images)


def _keep_tflite(model: Any, pair: Pair, digest: bytes) -> Path:
    """Make the .tflite for the next time; return its path."""
    from malaria.networks.export import to_tflite

    return tflite.keep_sealed(pair, to_tflite(model), digest)


def _override_labels(
    metadata: Metadata, outputs: int, labels: Sequence[str] | None, positive: str | None
) -> Metadata:
    labels = tuple(labels or metadata.labels)
    expected = 2 if outputs == 1 else outputs
    if len(labels) != expected:
        raise UsageError(
            f"--labels: the network tells {expected} labels apart; received {len(labels)}: "
            f"{printable(', '.join(labels))}"
        )
    if positive is None:
        positive = metadata.positive_label
        positive = positive if positive in labels else labels[metadata.positive]
    if positive not in labels:
        raise UsageError(
            f"--positive: expected one of {printable(', '.join(labels))}; "
            f"received {quote(positive)}"
        )
    return replace(metadata, labels=labels, positive_label=positive)


def _override_pixels(
    metadata: Metadata,
    shape: InputShape | None,
    size: tuple[int, int] | None,
    channels: str | None,
    scale: str | None,
) -> Metadata:
    """shape: (height, width, channels) that the network asks for, or None if it does not say."""
    height, width, depth = shape or (None, None, None)
    fixed = (height, width) if height and width else None
    if shape is not None and fixed is None and size is None and metadata.is_assumed:
        raise UsageError(
            "the network takes pictures of every size: say the height and the width that it was "
            "trained with, --resize=H,W"
        )
    _check_size(metadata, fixed, size)
    pixels = replace(metadata.pixels, size=size or metadata.pixels.size)
    if channels is not None:
        pixels = replace(pixels, colour=channels.upper())
    if depth is not None and (depth == 1) != (pixels.colour == "GREY"):
        raise UsageError(
            f"--channels: the network takes {depth} channels; received {pixels.colour.lower()}"
        )
    if scale is not None:
        known = SCALES[scale]
        pixels = replace(pixels, scale=known[0], offset=known[1])
    return replace(metadata, pixels=pixels)


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
