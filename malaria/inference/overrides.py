"""overrides: what a user says of labels and pixels, in place of a model's metadata."""

from collections.abc import Sequence
from dataclasses import replace

from malaria.base.errors import UsageError, UserError
from malaria.base.text import printable, quote
from malaria.data.dataset import default_positive
from malaria.pictures.images import PerChannel
from malaria.saved.architecture import InputShape
from malaria.saved.metadata import Metadata

# What a network takes for grey levels 0..255: (what they are multiplied by, what is added).
SCALES: dict[str, tuple[PerChannel, PerChannel]] = {
    "255": (1 / 255, 0.0),
    "1": (1.0, 0.0),
    "-1..1": (1 / 127.5, -1.0),
    # By the means and deviations of the channels that PyTorch's networks for ImageNet take.
    "imagenet": (
        (1 / 255 / 0.229, 1 / 255 / 0.224, 1 / 255 / 0.225),
        (-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225),
    ),
}


def override_labels(
    metadata: Metadata, output_count: int, labels: Sequence[str] | None, positive: str | None
) -> Metadata:
    """The metadata with these labels. Raises UsageError for those the network cannot have."""
    labels = tuple(labels or metadata.labels)
    expected = 2 if output_count == 1 else output_count
    if len(labels) != expected:
        raise UsageError(
            f"--labels: the network tells {expected} labels apart; received {len(labels)}: "
            f"{printable(', '.join(labels))}"
        )
    if positive is None and "positive" in metadata.assumed:
        positive = default_positive(labels)
    elif positive is None:
        known = metadata.positive_label
        positive = known if known in labels else labels[metadata.positive]
    if positive not in labels:
        raise UsageError(
            f"--positive: expected one of {printable(', '.join(labels))}; "
            f"received {quote(positive)}"
        )
    return replace(metadata, labels=labels, positive_label=positive)


def override_pixels(
    metadata: Metadata,
    shape: InputShape | None,
    *,
    size: tuple[int, int] | None,
    channels: str | None,
    scale: str | None,
    resampling: str | None,
) -> Metadata:
    """The metadata with images read so. Raises UsageError for what the network cannot take.

    shape: (height, width, channels) that the network asks for, or None if it does not say.
    """
    height, width, depth = shape or (None, None, None)
    fixed = (height, width) if height and width else None
    if shape is not None and size is None and "resize" in metadata.assumed:
        raise UsageError(
            "the network takes images of every size: say the height and the width that it was "
            "trained with, --resize=H,W"
        )
    if size and fixed and tuple(size) != fixed:
        raise UsageError(
            f"--resize: the network takes {height},{width} (height, width) and no other; "
            f"received {size[0]},{size[1]}"
        )
    if fixed not in (None, metadata.pixels.size):
        raise UserError(
            f"the metadata says images of {metadata.pixels.size}, the network takes {fixed} "
            "(height, width): copy both files again from where they were trained"
        )
    pixels = replace(metadata.pixels, size=size or metadata.pixels.size)
    if channels is not None:
        pixels = replace(pixels, colour=channels.upper())
    if depth is not None and (depth == 1) != (pixels.colour == "GREY"):
        raise UsageError(
            f"--channels: the network takes {depth} channels; received {pixels.colour.lower()}"
        )
    if scale is not None:
        factor, offset = SCALES[scale]
        pixels = replace(pixels, scale=factor, offset=offset)
    if resampling is not None:
        pixels = replace(pixels, resampling=resampling)
    return replace(metadata, pixels=pixels)


def describe_assumed(metadata: Metadata) -> str:
    """What was assumed, and the options that say otherwise, in one line for people."""
    height, width = metadata.pixels.size
    texts = {
        "labels": f"labels {', '.join(metadata.labels)}",
        "positive": f"positive label {metadata.positive_label}",
        "channels": f"channels {metadata.pixels.colour}",
        "scale": "grey levels as 0..1",
        "resampling": f"resampling {metadata.pixels.resampling}",
        "resize": f"{height} x {width} pixels",
    }
    told = {name: text for name, text in texts.items() if name in metadata.assumed}
    return f"{', '.join(told.values())}; say otherwise with --{', --'.join(told)}"
