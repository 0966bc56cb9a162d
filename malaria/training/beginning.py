"""beginning: weights to begin with, of another model or of a shorter run of these settings."""

import csv
import json
from pathlib import Path

from malaria.base.errors import UserError
from malaria.base.streams import log
from malaria.base.text import printable
from malaria.networks.backend import keras
from malaria.networks.load_model import load_model
from malaria.saved.metadata import KEY
from malaria.saved.pair import MAX_JSON_BYTES, Pair, default_pair, find_pair, read_architecture
from malaria.settings.config import NOT_IN_IDENTITY, Config
from malaria.training.checkpoint import Progress

PRETRAINED = "pretrained"
# What may differ between a finished run and one that goes on from it.
MAY_DIFFER = {*NOT_IN_IDENTITY, "epochs"}


def init_weights(model: keras.Model, source: str) -> None:
    """Copy weights of the saved model `source`, a path or PRETRAINED, layer by layer.

    A layer of another name or shape keeps its own. Raises UserError if no layer fits.
    """
    pair = find_pair(default_pair() if source == PRETRAINED else source)
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
        run = _epochs_of(path, config)
        if run is not None and run < config.epochs:
            found.append((run, Pair.at(path.parent, path.stem)))
    return max(found, key=lambda one: one[0])[1] if found else None


def continue_from(pair: Pair, model: keras.Model, steps_per_epoch: int) -> Progress:
    """Set the model as the finished run left it; return the Progress of that run.

    The moments of its optimizer were not kept and begin anew; its steps are counted on.
    """
    progress, weights = Progress(), load_model(pair, read_architecture(pair)).get_weights()
    model.set_weights(weights)
    with open(pair.weights.with_suffix("") / "history.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            numbers = {key: float(value) for key, value in row.items()}
            progress.add(numbers | {"epoch": int(row["epoch"])}, weights)
    model.optimizer.iterations.assign(progress.epoch * steps_per_epoch)
    log(f"going on after epoch {progress.epoch} of the finished {printable(pair.weights)}")
    return progress


def _epochs_of(path: Path, config: Config) -> int | None:
    """The epochs that the pair was trained with these settings, else None."""
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            return None
        entries = json.loads(path.read_text(encoding="utf-8"))[KEY]
        before = Config(**entries["config"]).model_dump(mode="json", exclude=MAY_DIFFER)
        is_same = before == config.model_dump(mode="json", exclude=MAY_DIFFER)
        return int(entries["epochs"]["run"]) if is_same else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
