"""beginning: weights to begin with, of another model or of a shorter run of these settings."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from malaria.base.errors import UserError
from malaria.base.streams import log
from malaria.base.text import printable, shorten
from malaria.networks.application_weights import fill_application, find_own_file
from malaria.networks.backend import keras
from malaria.networks.load_model import load_model
from malaria.pictures.images import PixelFormat
from malaria.saved.metadata import KEY, Metadata, read_metadata
from malaria.saved.pair import Pair, default_pair, find_pair, read_architecture
from malaria.settings.config import Config
from malaria.training.checkpoint import Progress


def init_weights(
    model: keras.Model, source: str, labels: Sequence[str], pixel_format: PixelFormat
) -> None:
    """Copy weights of the saved model `source`, a path or "pretrained", layer by layer.

    A layer of another name or shape keeps its own. The outputs of the last one are matched by the
    names of the labels; where those of the source are others, or not known, it keeps its own. A
    network of keras.applications takes "imagenet" and files of Keras's own weights too.
    pixel_format: of this training; a source that read images otherwise is told. Raises UserError if
    no layer fits.
    """
    if path := find_own_file(model.name, source, pixel_format.size):
        fill_application(model, path)
        log(f"all layers but the head begin with the weights of {printable(path)}")
        return
    pair = find_pair(default_pair() if source == "pretrained" else source)
    architecture = read_architecture(pair)
    metadata, other = read_metadata(pair, architecture), load_model(pair, architecture)
    weights = {layer.name: layer.get_weights() for layer in other.layers}
    layers = [layer for layer in model.layers if layer.weights]
    head = layers[-1].name
    if head in weights:
        weights[head] = _match_head(other.get_layer(head), metadata, labels, model.output_shape[-1])
    left = []
    for layer in layers:
        known = weights.get(layer.name, [])
        if [array.shape for array in known] == [tuple(one.shape) for one in layer.weights]:
            layer.set_weights(known)
        else:
            left.append(layer.name)
    if len(left) == len(layers):
        raise UserError(
            f"init_weights: no layer of {printable(pair.weights)} has the name and the shape of a "
            f"layer of {model.name}: expected a model of the same network"
        )
    told = [f"{len(layers) - len(left)} layers begin with the weights of {printable(pair.weights)}"]
    told += [f"anew: {', '.join(left)}"] if left else []
    log("; ".join([*told, *_describe_differences(metadata, labels, pixel_format)]))


def _match_head(
    layer: keras.layers.Layer, metadata: Metadata, labels: Sequence[str], outputs: int
) -> list[np.ndarray]:
    """The weights of a last layer for these labels in this order; [] where they are others.

    outputs: of the network to be: 1, a sigmoid, or as many as labels, a softmax.
    """
    weights: list[np.ndarray] = layer.get_weights()
    units, activation = weights[0].shape[-1], layer.get_config().get("activation")
    # Several sigmoids are no scores that a softmax could go on with.
    kinds = ("softmax", "linear") if units == len(labels) else ("sigmoid", "linear")
    is_known = "labels" not in metadata.assumed and set(metadata.labels) == set(labels)
    if not is_known or activation not in kinds:
        return []
    order = [metadata.labels.index(label) for label in labels]
    # A sigmoid is a softmax whose first score is 0.
    scores = [np.concatenate([0 * w, w], axis=-1) if units == 1 else w for w in weights]
    scores = [score[..., order] for score in scores]
    return [score[..., 1:] - score[..., :1] for score in scores] if outputs == 1 else scores


def _describe_differences(
    metadata: Metadata, labels: Sequence[str], pixel_format: PixelFormat
) -> Iterator[str]:
    """For people: what of the source's labels and pixels is not as in this training."""
    if "labels" in metadata.assumed:
        yield "which labels it tells apart is not known"
    elif metadata.labels != tuple(labels):
        is_same_set = set(metadata.labels) == set(labels)
        known = shorten(", ".join(metadata.labels), 100)
        yield f"its labels, {known}, are {'put in this order' if is_same_set else 'others'}"
    theirs, ours = asdict(metadata.pixels), asdict(pixel_format)
    unlike = [
        f"{k} {theirs[k]}, here {ours[k]}" for k in ours if k != "size" and theirs[k] != ours[k]
    ]
    if unlike:
        yield f"it read images otherwise: {'; '.join(unlike)}: its first answers may be wrong"


def find_shorter_run(config: Config) -> Pair | None:
    """The pair of a finished run of these settings but for fewer epochs, the longest, or None."""
    found: list[tuple[int, Pair]] = []
    for path in Path(config.output_models).glob("model_*.json"):
        pair = Pair.at(path.parent, path.stem)
        epochs = _epochs_of(pair, config)
        if 0 < epochs < config.epochs:
            found.append((epochs, pair))
    return max(found, key=lambda one: one[0])[1] if found else None


def continue_from(pair: Pair, model: keras.Model, steps_per_epoch: int) -> Progress:
    """Set the model as the finished run left it; return the Progress of that run.

    The moments of its optimizer were not kept and begin anew; its steps are counted on.
    """
    progress, weights = Progress(), load_model(pair, read_architecture(pair)).get_weights()
    model.set_weights(weights)
    history = pair.weights.with_suffix("") / "history.csv"
    with open(history, newline="", encoding="utf-8-sig") as file:
        for row in csv.DictReader(file):
            numbers = {key: float(value) for key, value in row.items()}
            progress.add(numbers | {"epoch": int(row["epoch"])}, weights)
    model.optimizer.iterations.assign(progress.epoch * steps_per_epoch)
    log(f"going on after epoch {progress.epoch} of the finished {printable(pair.weights)}")
    return progress


def _epochs_of(pair: Pair, config: Config) -> int:
    """The epochs that the pair was trained with these settings, else 0."""
    try:
        entries = read_architecture(pair)[KEY]
        before = Config(**entries["config"]).model_copy(update={"epochs": config.epochs})
        return int(entries["epochs"]["run"]) if before.identity == config.identity else 0
    except (UserError, ValueError, KeyError, TypeError):
        return 0
