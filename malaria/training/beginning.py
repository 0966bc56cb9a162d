"""beginning: weights to begin with, of another model or of a shorter run of these settings."""

import csv
from pathlib import Path

from malaria.base.errors import UserError
from malaria.base.streams import log
from malaria.base.text import printable
from malaria.networks.backend import keras
from malaria.networks.load_model import load_model
from malaria.saved.metadata import KEY
from malaria.saved.pair import Pair, default_pair, find_pair, read_architecture
from malaria.settings.config import Config
from malaria.training.checkpoint import Progress


def init_weights(model: keras.Model, source: str) -> None:
    """Copy weights of the saved model `source`, a path or "pretrained", layer by layer.

    A layer of another name or shape keeps its own. Raises UserError if no layer fits.
    """
    pair = find_pair(default_pair() if source == "pretrained" else source)
    other = load_model(pair, read_architecture(pair))
    weights = {layer.name: layer.get_weights() for layer in other.layers}
    layers = [layer for layer in model.layers if layer.weights]
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
    names = f"; anew: {', '.join(left)}" if left else ""
    fitting = len(layers) - len(left)
    log(f"{fitting} layers begin with the weights of {printable(pair.weights)}{names}")


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
