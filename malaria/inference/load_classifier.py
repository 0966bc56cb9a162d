"""load_classifier: a classifier from a saved pair, on the quickest engine that this machine has."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from malaria.base.errors import UserError
from malaria.base.gpu import nvidia_smi_works
from malaria.base.machine import usable_cores, worker_count
from malaria.base.streams import log
from malaria.base.text import printable
from malaria.inference import litert
from malaria.inference.classifier import Classifier
from malaria.inference.guard import Guard, is_of_earlier_version
from malaria.inference.network import KerasNetwork, Network
from malaria.inference.overrides import describe_assumed, override_labels, override_pixels
from malaria.inference.trial import check_answer, try_once
from malaria.saved import tflite
from malaria.saved.architecture import input_shape, output_count, with_size
from malaria.saved.label_files import describe_source, find_labels
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
    resampling: str | None = None,
) -> Classifier:
    """The Classifier saved at `path`.

    Args:
        path: a .h5 with its .json, a folder, where the newest pair counts, or what another program
            wrote: a whole-model .h5, a .keras, a SavedModel, a .tflite; None: the pretrained one.
        engine: "litert" answers in a quarter of a second; "keras" also knows GPUs, and takes
            seconds to start; "auto" is Keras only where LiteRT cannot be, or for many images on a
            GPU.
        many: thousands of images are to be classified.
        labels: names in place of the model's, label 0 first; None: of a model without any, those in
            a labels.txt or the like beside it, which is told, or else assumed.
        positive: the label that sensitivity is of, in place of the model's.
        size: (height, width) in pixels, for a network that takes any.
        channels: "rgb", "bgr" or "grey", in place of the model's.
        scale: likewise, a key of overrides.SCALES: what the network takes for grey levels.
        resampling: likewise, a key of images.RESAMPLINGS: how images are brought to its size.

    What the file does not say and nobody says here is assumed, and told in one line on stderr.

    Raises:
        UserError: nothing to load there, or files that are damaged or do not belong together.
        UsageError: labels, a size or channels that the network cannot have.
    """
    pair = find_pair(default_pair() if path is None else path)
    architecture = _describe_tflite(pair) if pair.kind == "tflite" else read_architecture(pair)
    metadata = override_pixels(
        read_metadata(pair, architecture),
        input_shape(architecture),
        size=size,
        channels=channels,
        scale=scale,
        resampling=resampling,
    )
    architecture = with_size(architecture, metadata.pixels.size)
    network = _open_network(pair, metadata, architecture, engine, many=many)
    if labels is None and not metadata.details:
        labels = _find_labels(pair, network.output_count)
    metadata = override_labels(metadata, network.output_count, labels, positive)
    said: dict[str, object] = {"labels": labels, "positive": positive, "channels": channels}
    said |= {"scale": scale, "resampling": resampling, "resize": size}
    given = {name for name, value in said.items() if value is not None}
    metadata = replace(metadata, assumed=metadata.assumed - given)
    if metadata.assumed:
        log(f"assumed, for the model does not say it: {printable(describe_assumed(metadata))}")
    if metadata.output == "scores" and not metadata.details:
        log("the model gives each label a score of its own (sigmoid): read as divided by their sum")
    classifier = Classifier(metadata, network, pair, guard=_read_guard(pair, metadata, network))
    check_answer(classifier)
    return classifier


def keep_tflite(classifier: Classifier) -> None:
    """Write the .tflite that makes the next start quick, if it is missing, or say why not.

    Called once the results are told, for it takes seconds.
    """
    network = classifier.network
    if isinstance(network, KerasNetwork) and network.missing is not None:
        try:
            path = network.write_tflite(network.missing)
            log(f"saved {printable(path)}, with which the next start is quick")
        except UserError as error:
            log(f"the next start will not be quicker: {printable(error)}")


def _read_guard(pair: Pair, metadata: Metadata, network: Network) -> Guard | None:
    """The Guard in the metadata, or None. Raises UserError for one that cannot be."""
    if not _has_guard(metadata):
        if metadata.guard is not None:
            log(
                f"the guard of {printable(pair.weights)} is of a version before 2.5 and not used: "
                "images of no single cell are not marked; train it again to have one"
            )
        return None
    guard = Guard.from_entries(metadata.guard, pair.architecture)
    if guard.feature_count != network.feature_count:
        raise UserError(
            f"{pair.architecture}: its guard is damaged: it looks at {guard.feature_count} "
            f"features, and the network has {network.feature_count}"
        )
    return guard


def _has_guard(metadata: Metadata) -> bool:
    return metadata.guard is not None and not is_of_earlier_version(metadata.guard)


def _find_labels(pair: Pair, output_count: int) -> Sequence[str] | None:
    """The labels that a file beside the model names, which is told; None where there is none."""
    labels = find_labels(pair, max(2, output_count))
    if labels is not None:
        log(describe_source(pair, labels))
    return labels


def _describe_tflite(pair: Pair) -> Architecture:
    if not litert.is_available():
        raise UserError(f"{pair.weights} needs LiteRT: pip install ai-edge-litert")
    try_once(pair.weights)
    return litert.describe_ends(pair.weights)


def _open_network(
    pair: Pair, metadata: Metadata, architecture: Architecture, engine: Engine, *, many: bool
) -> Network:
    if pair.kind == "tflite":
        return _open_tflite(pair.weights)
    has_litert = engine != "keras" and litert.is_available()
    if engine == "litert" and not has_litert:
        raise UserError("--engine litert: not installed here; pip install ai-edge-litert")
    weights_sha256 = metadata.details.get("weights_sha256") or digest_of(pair)
    features = _has_guard(metadata)
    digest = tflite.digest_pair(weights_sha256, architecture, features=features)
    found = _open_known_tflite(pair, metadata, architecture, digest) if has_litert else None
    if found and not (engine == "auto" and many and nvidia_smi_works()):
        return found
    missing = digest if has_litert and not found else None
    network = KerasNetwork(pair, architecture, features=features, missing=missing)
    return _open_tflite(network.write_tflite(digest)) if engine == "litert" else network


def _open_known_tflite(
    pair: Pair, metadata: Metadata, architecture: Architecture, digest: str
) -> litert.LiteRTNetwork | None:
    """The .tflite that was made here of the pair, or the one beside it that its .json names."""
    if (kept := tflite.find_kept(digest)) is not None:
        return _open_tflite(kept)
    if pair.kind != "pair" or not pair.tflite.is_file():
        return None
    try:
        if not tflite.belongs(pair, metadata):
            raise UserError(
                f"{pair.tflite}: not the one whose SHA-256 is in {pair.architecture.name}"
            )
        if not tflite.is_pretrained(pair):
            try_once(pair.tflite)
        network = _open_tflite(pair.tflite)
        _check_ends(network, architecture)
        if _has_guard(metadata) and not network.feature_count:
            raise UserError(f"{pair.tflite}: it lacks the features that its guard looks at")
        return network
    except UserError as error:
        log(f"{printable(error)}; the .h5 is read instead, which takes some seconds")
        return None


def _open_tflite(path: Path) -> litert.LiteRTNetwork:
    return litert.LiteRTNetwork(path, cores=max(1, usable_cores() // worker_count()))


def _check_ends(network: litert.LiteRTNetwork, architecture: Architecture) -> None:
    """Raise UserError for the .tflite of a network that is plainly not the one of the .json."""
    expected = (*(input_shape(architecture) or (None,) * 3), output_count(architecture))
    received = (*network.image_shape, network.output_count)
    pairs = zip(expected, received, strict=False)
    if len(received) != 4 or any(one and other not in (one, -1) for one, other in pairs):
        raise UserError(
            f"{network.path}: expected (height, width, channels, outputs) {expected}, received "
            f"{received}"
        )
