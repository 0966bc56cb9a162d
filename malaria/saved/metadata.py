"""metadata: the description of a saved model in its .json, under one key beside Keras's own."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args

from malaria.base.errors import UserError
from malaria.base.files import sha256_of
from malaria.base.text import shorten
from malaria.data.dataset import LABELS, default_positive
from malaria.pictures.images import CHANNEL_ORDERS, FITS, MAX_SIDE, RESAMPLINGS, PixelFormat
from malaria.saved.architecture import OutputForm, input_shape, network_size, output_form, rescales
from malaria.saved.pair import Architecture, Pair

KEY = "malaria"
# The task, in its metadata, of a network that finds cells and tells no labels.
DETECTION = "detection"
FORMAT = 1
# What the pairs of earlier versions do not say.
LATER = ("tta", "temperature", "output", "guard", "grey_share")
# With a smaller share of grey images among those of its training a model learnt colours.
FEW_GREY = 0.1
# The options of what a file of others may leave unsaid.
ASSUMED = ("labels", "positive", "channels", "scale", "resampling", "resize")
HISTORIC_SIZE = (141, 141)


@dataclass(frozen=True)
class Metadata:
    """The description of a model by which images are read and decided.

    labels: label 0 first. positive_label: the one whose share found is the sensitivity.
    pixels: how images are read. threshold: from this probability of the positive label on, a cell
    is called positive (two labels only). tta: answers are averaged over the eight quarter turns
    and flips. temperature: what the logarithms of the probabilities are divided by, see
    evaluation/decisions.py. output: what the network's answers are, see decisions.from_output.
    guard: of what tells images that are no cells, as inference/guard.py reads it. grey_share: how
    many of the training images had no colours, 0..1; None: not known. details: the whole record,
    {} where a model has none; then assumed: those of ASSUMED that neither the file nor the user
    says.
    """

    labels: tuple[str, ...]
    positive_label: str
    pixels: PixelFormat
    threshold: float = 0.5
    tta: bool = False
    temperature: float = 1.0
    output: OutputForm = "probabilities"
    assumed: frozenset[str] = frozenset()
    guard: dict[str, Any] | None = None
    grey_share: float | None = None
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def positive(self) -> int:
        """The index of the positive label."""
        return self.labels.index(self.positive_label)

    @property
    def learnt_colours(self) -> bool:
        """Whether the training images are known to have had colours, which the network sees."""
        is_known = self.grey_share is not None and self.grey_share < FEW_GREY
        return is_known and self.pixels.colour != "GREY"

    @property
    def patient_pattern(self) -> str | None:
        """The regular expression by which the training knew patients, if known."""
        config = self.details.get("config")
        pattern = config.get("patient_pattern") if isinstance(config, dict) else None
        return pattern if isinstance(pattern, str) else None

    def to_entries(self) -> dict[str, Any]:
        """The plain values that `read_metadata` reads."""
        pixels = asdict(self.pixels)
        return {
            "format": FORMAT,
            "labels": list(self.labels),
            "positive_label": self.positive_label,
            "image_size": list(pixels.pop("size")),
            "pixels": pixels,
            "threshold": self.threshold,
            "tta": self.tta,
            "temperature": self.temperature,
            "output": self.output,
            **({"grey_share": self.grey_share} if self.grey_share is not None else {}),
            **({"guard": self.guard} if self.guard is not None else {}),
        }


def read_metadata(pair: Pair, architecture: Architecture) -> Metadata:
    """The metadata in `architecture`, or that of a historic pair if there is none.

    Raises UserError if an entry is impossible, or if the .h5 is not the one it was written for.
    """
    if KEY not in architecture:
        return _assume(pair, architecture)
    metadata = _parse(architecture[KEY], pair.architecture)
    expected, received = metadata.details.get("weights_sha256"), sha256_of(pair.weights)
    if expected != received:
        raise UserError(
            f"{pair.weights} does not belong to {pair.architecture.name}, or is damaged: "
            f"expected SHA-256 {shorten(expected, 15)}, received {received[:12]}...; "
            "copy both files again from where they were trained"
        )
    return metadata


def _assume(pair: Pair, architecture: Architecture) -> Metadata:
    """The metadata that the file itself tells, and for the rest what is likely.

    A pair without metadata is one of the first original's, which read BGR, and had 141 pixels where
    it does not say it; other programs' files hold networks that read RGB.
    """
    # What Keras resizes with when it reads a folder, and OpenCV unless it is told otherwise.
    colour, resampling = ("BGR", "bicubic") if pair.kind == "pair" else ("RGB", "linear")
    if (input_shape(architecture) or (None, None, 3))[2] == 1:
        colour = "GREY"
    size, takes_levels = network_size(architecture), rescales(architecture)
    known = {"channels": colour == "GREY", "resize": size, "scale": takes_levels}
    return Metadata(
        LABELS,
        default_positive(LABELS),
        PixelFormat(size or HISTORIC_SIZE, colour, resampling, 1.0 if takes_levels else 1 / 255),
        output=output_form(architecture),
        assumed=frozenset(name for name in ASSUMED if not known.get(name)),
    )


def _parse(entries: dict[str, Any], path: Path) -> Metadata:
    try:
        if isinstance(entries, dict) and entries.get("task") == DETECTION:
            raise UserError(f"{path} is a detector, which finds cells: give it to --detector")
        _require(isinstance(entries["labels"], list), "labels are no list")
        later = {name: entries[name] for name in LATER if name in entries}
        if entries.get("logits") is True:  # as version 2.2.0 and before said it
            later = {"output": "logits"} | later
        metadata = Metadata(
            tuple(entries["labels"]),
            entries["positive_label"],
            PixelFormat(tuple(entries["image_size"]), **_with_tuples(entries["pixels"])),
            entries["threshold"],
            details=entries,
            **later,
        )
        _check_entries(metadata)
    except (KeyError, TypeError, ValueError) as error:
        missing = "no " if isinstance(error, KeyError) else ""
        reason = missing + shorten(error, 200)
        raise UserError(f"{path}: its metadata, the key {KEY!r}, is damaged: {reason}") from None
    return metadata


def _check_entries(metadata: Metadata) -> None:
    labels, pixels = metadata.labels, metadata.pixels
    _require(all(isinstance(label, str) and label for label in labels), "labels are not names")
    _require(2 <= len(set(labels)) == len(labels) <= 1000, "expected two or more unlike labels")
    _require(metadata.positive_label in labels, "positive_label is none of the labels")
    _require(len(pixels.size) == 2, "expected an image_size of height and width")
    for side in pixels.size:
        _require(type(side) is int and 0 < side <= MAX_SIDE, f"a side of {side!r} pixels")
    for name, known in ("colour", CHANNEL_ORDERS), ("resampling", RESAMPLINGS), ("fit", FITS):
        _require(getattr(pixels, name) in known, f"{name} {getattr(pixels, name)!r}")
    for scale, offset in zip(_each(pixels.scale), _each(pixels.offset), strict=True):
        _check_number("scale", scale, 1e-9, 1)
        _check_number("offset", offset, -255, 255)
    _check_number("threshold", metadata.threshold, 0, 1)
    _check_number("temperature", metadata.temperature, 0.001, 1000)
    if metadata.grey_share is not None:
        _check_number("grey_share", metadata.grey_share, 0, 1)
    _require(metadata.output in get_args(OutputForm), f"output {metadata.output!r}")
    _require(isinstance(metadata.tta, bool), f"tta {metadata.tta!r}")
    _require(isinstance(metadata.guard, dict | None), "guard is no object")
    fits = pixels.fit == "stretch" or pixels.resampling != "linear"
    _require(fits, "linear goes with stretch only")
    _require(not metadata.tta or pixels.size[0] == pixels.size[1], "tta is for square images")


def _with_tuples(entries: Any) -> dict[str, Any]:
    """The same with tuples for lists, as a record has them."""
    _require(isinstance(entries, dict), "pixels are no object")
    return {key: tuple(x) if isinstance(x, list) else x for key, x in entries.items()}


def _each(value: Any) -> tuple[Any, ...]:
    """The number for all channels, or the three of them."""
    each = value if isinstance(value, tuple) else (value,) * 3
    _require(len(each) == 3, f"expected one number or three, received {value!r}")
    return each


def _check_number(name: str, value: Any, low: float, high: float) -> None:
    # Of this type, for True is no number here; and not NaN.
    _require(type(value) in (int, float) and low <= value <= high, f"{name} {value!r}")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)
