"""passport: find a saved pair and read what its .json says of it (no TensorFlow)."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from malaria.base.errors import UserError, printable
from malaria.data.images import COLOURS, RESAMPLINGS, PixelFormat

KEY = "malaria"
HISTORIC_LABELS = ("Parasitized", "Uninfected")
HISTORIC_SIZE = (141, 141)
# A stranger's .json is read whole before it is looked at; the largest of ours has 60 KB.
MAX_JSON_BYTES = 5_000_000
# Keeps one picture, as float32, under 200 MB.
MAX_SIDE = 4096


@dataclass(frozen=True)
class Pair:
    """The paths of one saved model: weights (.h5), architecture (.json), and maybe a .tflite."""

    weights: Path
    architecture: Path
    tflite: Path


@dataclass(frozen=True)
class Passport:
    """What classifying needs to know of a model.

    labels: label 0 first. positive_label: the one whose share found is the sensitivity.
    pixels: how pictures are read. threshold: from this probability of the positive label on,
    a cell is called positive (two labels only). tta: whether answers are averaged over the eight
    quarter turns and flips. details: the whole record, {} for a historic pair.
    """

    labels: tuple[str, ...]
    positive_label: str
    pixels: PixelFormat
    threshold: float = 0.5
    tta: bool = False
    details: dict = field(default_factory=dict)


def find_pair(path):
    """The pair that `path` means: its .h5, its .json, or a folder, where the newest one counts.

    Newest by the time in the name, model_<time>_..., then by the file's. Raises UserError.
    """
    path = Path(path)
    if path.is_dir():
        path = _newest(path)
    if path.suffix not in (".h5", ".json"):
        raise UserError(f"no model at {path}: expected a .h5, its .json, or a folder with pairs")
    pair = Pair(*(path.with_suffix(suffix) for suffix in (".h5", ".json", ".tflite")))
    for half in (pair.weights, pair.architecture):
        if not half.is_file():
            raise UserError(f"no model at {path}: {half.name} is not in {path.parent}/")
    return pair


def _newest(folder):
    halves = [path for path in folder.glob("*.json") if path.is_file()]
    pairs = [path for path in halves if path.with_suffix(".h5").is_file()]
    if not pairs:
        raise UserError(f"no model in {folder}/: expected a .h5 with a .json of the same name")
    return max(pairs, key=lambda path: (_time_in(path.name), path.stat().st_mtime))


def _time_in(name):
    """The time in model_<time>_..., '' in other names; ISO 8601 sorts as text.

    Only the digits are compared, since the first original wrote the same time with colons.
    """
    parts = name.split("_")
    is_ours = parts[0] == "model" and len(parts) > 2
    return "".join(filter(str.isdigit, parts[1])) if is_ours else ""


def read_architecture(pair):
    """The .json of the pair as a dict. Raises UserError if it is too large or not JSON."""
    path = pair.architecture
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise UserError(f"{path} has more than {MAX_JSON_BYTES:,} bytes: no architecture")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise UserError(f"{path} is not JSON: expected what train.py or Keras wrote") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a JSON object, received a {type(content).__name__}")
    return content


def read_passport(pair, architecture):
    """The passport in `architecture`, or that of a historic pair if there is none.

    Raises UserError if an entry is impossible, or if the .h5 is not the one it was written for.
    """
    if KEY not in architecture:
        size = network_size(architecture) or HISTORIC_SIZE
        return Passport(HISTORIC_LABELS, HISTORIC_LABELS[0], PixelFormat(size, "BGR", "bicubic"))
    passport = _parse(architecture[KEY], pair.architecture)
    _check_halves(pair, architecture[KEY])
    return passport


def _parse(entries, path):
    try:
        _require(isinstance(entries["labels"], list), "labels are no list")
        labels = tuple(entries["labels"])
        positive = entries["positive_label"]
        size = tuple(entries["image_size"])
        pixels = PixelFormat(size, **entries["pixels"])
        threshold = entries["threshold"]
        tta = entries.get("tta", False)
        _check_entries(labels, positive, pixels, threshold)
        _require(isinstance(tta, bool), f"tta {tta!r}")
        _require(not tta or size[0] == size[1], "tta is for square images")
    except (KeyError, TypeError, ValueError) as error:
        missing = "no " if isinstance(error, KeyError) else ""
        reason = missing + printable(str(error)[:200])
        raise UserError(f"{path}: its passport, the key {KEY!r}, is damaged: {reason}") from None
    return Passport(labels, positive, pixels, threshold, tta, entries)


def _check_entries(labels, positive, pixels, threshold):
    _require(all(isinstance(label, str) and label for label in labels), "labels are not names")
    _require(2 <= len(set(labels)) == len(labels) <= 1000, "expected two or more unlike labels")
    _require(positive in labels, "positive_label is none of the labels")
    _require(len(pixels.size) == 2, "expected an image_size of height and width")
    for side in pixels.size:
        whole = isinstance(side, int) and not isinstance(side, bool)
        _require(whole and 0 < side <= MAX_SIDE, f"a side of {side!r} pixels")
    _require(pixels.colour in COLOURS, f"colour {pixels.colour!r}")
    _require(pixels.resampling in RESAMPLINGS, f"resampling {pixels.resampling!r}")
    _require(_is_share(pixels.scale) and pixels.scale > 0, f"scale {pixels.scale!r}")
    _require(_is_share(threshold), f"threshold {threshold!r}")


def _is_share(value):
    """Whether it is a number from 0 to 1; NaN is not, nor is True."""
    return type(value) in (int, float) and 0 <= value <= 1


def _require(condition, message):
    if not condition:
        raise ValueError(message)


def _check_halves(pair, entries):
    expected, received = entries.get("weights_sha256"), sha256_of(pair.weights)
    if expected != received:
        raise UserError(
            f"{pair.weights} does not belong to {pair.architecture.name}, or is damaged: "
            f"expected SHA-256 {printable(str(expected)[:12])}..., received {received[:12]}...; "
            "copy both files again from where they were trained"
        )


def sha256_of(path):
    """The SHA-256 of a file, as 64 hexadecimal digits. Raises UserError if it cannot be read."""
    try:
        with open(path, "rb") as file:
            digest = hashlib.sha256()
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    return digest.hexdigest()


def network_size(architecture):
    """(height, width) that the network's first layer asks for, or None if it does not say."""
    layers = architecture.get("config")
    layers = layers.get("layers") if isinstance(layers, dict) else layers
    try:
        config = layers[0]["config"]
        shape = config.get("batch_shape") or config.get("batch_input_shape")
        height, width = int(shape[1]), int(shape[2])
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError):
        return None
    return (height, width) if 0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE else None
