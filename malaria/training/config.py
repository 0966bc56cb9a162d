"""config: every setting of a training, its default, and what it may be."""

import hashlib
import json
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from malaria.data.dataset import PATIENT_PATTERN
from malaria.evaluation.thresholds import parse_rule

# The names of model.MODELS, which cannot be asked here: it takes seconds to import TensorFlow.
NETWORKS = ("vgg", "compact", "keras_cnn", "xresnet34")
# Of these, the networks that take images of any size, and so may begin with smaller ones.
ANY_SIZE = ("compact", "xresnet34")
# What may differ between a run and its resumption without changing the weights.
NOT_IN_IDENTITY = {"cache", "devices", "output_models", "plot_training_data", "tensorboard"}


def _no_flag(value):
    if isinstance(value, bool):
        raise ValueError("expected a number")
    return value


def _folder_name(label):
    """A label is a folder below train_images, never a way out of it."""
    if label.strip() in ("", ".", "..") or set(label) & set("/\\\0"):
        raise ValueError("expected the name of a folder in train_images")
    return label


def _unlike(labels):
    if len(set(labels)) < len(labels):
        raise ValueError("expected labels that differ")
    return labels


def _pattern(text):
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"expected a regular expression: {error}") from None
    return text


Flag = Annotated[bool, Field(strict=True)]
Count = Annotated[int, Field(strict=True, ge=1)]
Side = Annotated[int, Field(strict=True, ge=1, le=4096)]
# PyYAML reads 1e-4 as text, so text that is a number counts as one.
Number = Annotated[float, BeforeValidator(_no_flag), Field(allow_inf_nan=False)]
Share = Annotated[Number, Field(ge=0, lt=1)]
Label = Annotated[str, Field(max_length=200), AfterValidator(_folder_name)]
Text = Annotated[str, Field(min_length=1, max_length=4096)]


class Augmentation(BaseModel):
    """Random changes to training images; what is not named is off."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    flips: Flag = False
    quarter_turns: Flag = False
    rotation: Annotated[Number, Field(ge=0, le=180)] = 0.0
    shear: Share = 0.0
    zoom: Share = 0.0
    stretch: Share = 0.0
    blur: Annotated[Number, Field(ge=0, le=1)] = 0.0
    brightness: Share = 0.0
    stain: Share = 0.0
    background: Annotated[Number, Field(ge=0, le=1)] = 0.0


class Config(BaseModel):
    """The settings, whose meaning and unit stand in config.yaml, with their defaults."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    train_images: Text = "cell_images/"
    labels: Annotated[tuple[Label, ...], Field(min_length=2), AfterValidator(_unlike)] = (
        "Parasitized",
        "Uninfected",
    )
    positive_label: Label | None = None
    train_size: Annotated[int, Field(strict=True, ge=2)] | None = None
    split_by: Literal["patient", "image"] = "patient"
    patient_pattern: Annotated[str, Field(max_length=200), AfterValidator(_pattern)] = (
        PATIENT_PATTERN
    )
    test_size: Annotated[Number, Field(gt=0, lt=1)] = 0.3
    random_state: Annotated[int, Field(strict=True, ge=0, lt=2**32)] = 42
    exclude: Text | None = None

    model: Literal[NETWORKS] = "vgg"
    image_size: tuple[Side, Side] = (141, 141)

    epochs: Count = 16
    batch_size: Count = 16
    steps_per_epoch: Count | None = None
    validation_steps: Count | None = None
    learning_rate: Annotated[Number, Field(gt=0, le=10)] = 7e-4
    schedule: Literal["constant", "cosine", "fine_tune"] = "cosine"
    warmup: Share = 0.3
    weight_decay: Share = 0.5
    label_smoothing: Annotated[Number, Field(ge=0, lt=0.5)] = 0.05
    weight_average: Share = 0.0
    small_epochs: Annotated[int, Field(strict=True, ge=0)] = 0
    small_size: tuple[Side, Side] | None = None
    early_stopping: Count | None = None
    keep: Literal["best", "last"] | None = None
    augmentation: Augmentation = Augmentation(
        flips=True, quarter_turns=True, rotation=45, zoom=0.1, brightness=0.1, stain=0.1
    )

    threshold: Annotated[float | str, BeforeValidator(parse_rule)] = 0.5
    tta: Flag = False

    cache: Literal["memory", "disk", "none"] = "memory"
    devices: Literal["auto", "cpu", "all"] = "auto"
    mixed_precision: Literal["auto", True, False] = "auto"
    deterministic: Flag = False

    output_models: Text = "models/"
    plot_training_data: Flag = True
    tensorboard: Flag = False

    @property
    def positive(self):
        """The label whose share found is the sensitivity."""
        if self.positive_label is not None:
            return self.positive_label
        return "Parasitized" if "Parasitized" in self.labels else self.labels[-1]

    @property
    def kept(self):
        """Whose weights are saved: "best" or "last"."""
        return self.keep or ("best" if self.early_stopping else "last")

    @property
    def identity(self):
        """Twelve hexadecimal digits, the same for settings that lead to the same weights."""
        settings = self.model_dump(mode="json", exclude=NOT_IN_IDENTITY)
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
