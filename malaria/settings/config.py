"""config: every setting of a training, declared once: its default, its limits and its meaning.

config.yaml, `train.py --print_config` and the table in docs/training.md are made from here by
config_reference; the tests hold them equal.
"""

import hashlib
import json
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from malaria.data.dataset import LABELS, PATIENT_PATTERN, default_positive
from malaria.data.training_folders import TrainingFolder
from malaria.evaluation.thresholds import ALLOWED, parse_rule
from malaria.model import NETWORKS
from malaria.pictures.images import Fit
from malaria.settings.augmentation_settings import Augmentation
from malaria.settings.declare import (
    BatchSize,
    Finite,
    Flag,
    FolderEntry,
    Folders,
    Label,
    Labels,
    NetworkName,
    NoFlag,
    Paths,
    Pattern,
    Settings,
    Share,
    Side,
    Steps,
    Text,
    Whole,
    setting,
)

Rule = Annotated[float | str, BeforeValidator(parse_rule), WithJsonSchema({"allowed": ALLOWED})]
# Settings that may change between a run and its resumption: they change no weight.
NOT_IN_IDENTITY = {"cache", "devices", "output_models", "tensorboard"}
NOT_IN_IDENTITY |= {"plot_training_data"}
# The networks that may begin with smaller images.
ANY_SIZE = ", ".join(name for name, network in NETWORKS.items() if network.any_size)


class Config(Settings):
    """All settings of a training, with their defaults."""

    train_images: Folders = setting(
        "cell_images/",
        "folder with one sub-folder for each label, or a table (.csv, .tsv) with the columns path, "
        "label and, if known, patient; or a list of such, of one laboratory each: {folder: txl/, "
        "name: txl, patient_pattern: ^(.+)_RBC}. Of several, one may lack a label",
        section="Images",
    )
    labels: Labels = setting(
        LABELS,
        "the classes, a sub-folder each, or as a table names them; label 0 first. Of two, the "
        "network ends in a sigmoid, the probability of the second; of three or more (and always "
        "with xresnet34) in a softmax",
    )
    positive_label: Label | None = setting(
        None,
        "the label that sensitivity is of; null: Parasitized if it is a label, else the last that "
        "does not mean healthy (NORMAL, negative, ...)",
    )
    train_size: Annotated[int, Field(strict=True, ge=2)] | None = setting(
        None, "images per label, chosen at random; null: all"
    )
    image_size: tuple[Side, Side] = setting((141, 141), "height and width after resizing, pixels")
    resize: Fit = setting(
        "stretch", "how other aspect ratios are fitted: stretch; pad with black; crop the centre"
    )
    contradictions: Literal["refuse", "exclude"] = setting(
        "refuse", "images with the same pixels under two labels: refuse to train, or exclude them"
    )
    cache: Literal["memory", "disk", "none"] = setting(
        "memory",
        "where resized images are kept: memory (3 bytes a pixel), disk (output_models/cache, used "
        "again), none (read anew)",
    )

    split_by: Literal["patient", "image"] = setting(
        "patient",
        "patient: no patient is on both sides; image: at random",
        section="Split into training and validation",
    )
    patient_pattern: Pattern = setting(
        PATIENT_PATTERN,
        "regular expression; its first group in a file's name is the patient, or the field where "
        "patients are not known",
    )
    test_size: Annotated[Finite, Field(gt=0, lt=1), NoFlag] = setting(
        0.3, "validation share of the patients (or of the images)"
    )
    random_state: Annotated[int, Field(strict=True, ge=0, lt=2**32)] = setting(
        42, "random seed of sampling, split, initial weights, shuffling and augmentation"
    )
    validation_images: Folders | None = setting(
        None,
        "another folder or table, or a list, like train_images to validate on; null: a share of "
        "train_images, see test_size",
    )
    exclude: Text | None = setting(
        None,
        "a table with a column path, such as label_errors.csv: files to leave out of training, "
        "never out of validation",
    )

    model: NetworkName = setting(
        "vgg",
        "; ".join(f"{name}: {network.summary}" for name, network in NETWORKS.items())
        + "; keras.NAME: of keras.applications, such as keras.EfficientNetV2B0",
        section="Network",
    )
    init_weights: Text | None = setting(
        None,
        "weights to start from: the path of a saved model, or pretrained; for keras.NAME also "
        "imagenet, which Keras fetches, or the path of such a file; layers of another shape are "
        "initialized at random; see schedule; null: none",
    )

    composed_of: Paths | None = setting(
        None,
        "for a detector: a folder, or a list, of cut cells (sub-folders Parasitized, Uninfected), "
        "of which fields are composed beside the annotated ones of train_images; null: none",
        section="Detection: find the cells of whole fields (model: detector)",
    )
    composed_share: Whole = setting(0.5, "share of the views that are composed")

    epochs: Steps = setting(16, "maximum number of epochs", section="Training")
    batch_size: BatchSize = setting(16, "images per step; memory grows by about 20 MB for each")
    steps_per_epoch: Steps | None = setting(None, "batches per epoch; null: all training images")
    validation_steps: Steps | None = setting(None, "batches evaluated after each epoch; null: all")
    learning_rate: Annotated[Finite, Field(gt=0, le=10), NoFlag] = setting(
        7e-4, "of Adam; with a cosine schedule the peak"
    )
    schedule: Literal["constant", "cosine", "fine_tune"] | None = setting(
        None,
        "learning-rate schedule. cosine: warmup, then decay to zero; constant; fine_tune: the head "
        "alone for one epoch, then all layers at discriminative rates, those before the head at a "
        "twentieth to a two-hundredth (fastai's); null: fine_tune with init_weights, else cosine",
    )
    warmup: Share = setting(0.3, "share of all steps that are the warmup of a cosine schedule")
    weight_decay: Share = setting(
        0.5, "decoupled weight decay (AdamW): each step scales a weight by 1 - rate * weight_decay"
    )
    label_smoothing: Annotated[Finite, Field(ge=0, lt=0.5), NoFlag] = setting(
        0.05, "share of the target that is spread evenly over all labels"
    )
    teachers: Paths | None = setting(
        None,
        "knowledge distillation: a saved model of two labels, or a list, whose mean probability is "
        "the soft target of each image, beside its label; null: none",
    )
    teacher_share: Whole = setting(
        0.7, "weight of the soft target in the training target; the rest is the label's"
    )
    balance: Literal["none", "label", "source", "label_in_source"] = setting(
        "none",
        "oversampling. label: images of rarer labels are repeated until each label has as many; "
        "source: and within a label each folder of train_images; label_in_source: first the labels "
        "within each folder that has several, then the labels",
    )
    ema_decay: Share = setting(
        0.0,
        "decay per step of an exponential moving average (EMA) of the weights, such as 0.99; "
        "0: none. The averaged weights are saved",
        was="weight_average",
    )
    progressive_epochs: Annotated[int, Field(strict=True, ge=0)] = setting(
        0,
        "progressive resizing: the number of first epochs with smaller images, for networks that "
        f"take any size: {ANY_SIZE}",
        was="small_epochs",
    )
    progressive_size: tuple[Side, Side] | None = setting(
        None, "height and width of these smaller images, pixels", was="small_size"
    )
    early_stopping: Annotated[int, Field(strict=True, ge=1)] | None = setting(
        None, "patience: stop after this many epochs without a lower validation loss; null: never"
    )
    keep: Literal["best", "last"] | None = setting(
        None,
        "which weights are saved: best, of the lowest validation loss, or last; null: best with "
        "early_stopping, else last",
    )

    threshold: Rule = setting(
        0.5,
        "from this probability of the positive label on a cell is called positive; or a rule: "
        "youden (maximum of sensitivity + specificity), counting (few parasites in many cells), or "
        "sensitivity>=0.98",
        section="Decision, chosen on the validation images and kept with the model",
    )
    tta: Flag = setting(
        False,
        "test-time augmentation: average the probabilities over the eight quarter turns and flips "
        "of an image, eight times the work",
    )

    guard: Flag = setting(
        True,
        "also learn to detect images that are no single cells, which run.py then marks",
        section="Out-of-distribution detection: images of no single cell, such as whole fields",
    )
    not_cells: Paths | None = setting(
        None,
        "a folder, or a list, of images of white blood cells, platelets, ...; in a folder named "
        "several they show several cells, in one named none nothing; null: none",
    )

    augmentation: Augmentation = setting(
        Augmentation(
            flips=True, quarter_turns=True, rotation=45, zoom=0.1, brightness=0.1, color_jitter=0.1
        ),
        "in a config that has this key, what it does not name is off",
        section="Augmentation: random changes to training images, never to validation images",
    )

    devices: Literal["auto", "cpu", "all"] = setting(
        "auto", "auto: the first GPU, else the CPU; cpu; all: every GPU", section="Machine"
    )
    mixed_precision: Literal["auto", True, False] = setting(
        "auto",
        "auto: bfloat16 on processors with units for it (Intel AMX), float32 elsewhere; true: half "
        "precision on GPUs too (bfloat16 from Ampere on, else float16); false: float32",
    )
    deterministic: Flag = setting(False, "reproducible bit for bit, a little slower")

    output_models: Text = setting(
        "models/", "folder of the saved models, made if missing", section="Results"
    )
    plot_training_data: Flag = setting(
        True, "plots of curves, confusion matrix, augmentation and predictions"
    )
    tensorboard: Flag = setting(False, "also write TensorBoard logs to output_models/tensorboard/")

    @property
    def positive(self) -> str:
        """The label that sensitivity is of."""
        return self.positive_label or default_positive(self.labels)

    @property
    def folders(self) -> list[TrainingFolder]:
        """The folders and tables that train_images names."""
        return self._named(self.train_images)

    @property
    def validation_folders(self) -> list[TrainingFolder]:
        """The folders and tables that validation_images names; [] if none."""
        return [] if self.validation_images is None else self._named(self.validation_images)

    @property
    def base_folder(self) -> str:
        """The base of relative paths in the list of `exclude`: its one source, or where we are."""
        return self.folders[0].base if isinstance(self.train_images, str) else "."

    def _named(self, folders: str | tuple[FolderEntry, ...]) -> list[TrainingFolder]:
        entries = (FolderEntry(folder=folders),) if isinstance(folders, str) else folders
        several = any(isinstance(x, tuple) for x in (self.train_images, self.validation_images))
        return [one.to_source(self.patient_pattern, several) for one in entries]

    @property
    def rates(self) -> str:
        """The schedule of the learning rate."""
        return self.schedule or ("fine_tune" if self.init_weights else "cosine")

    @property
    def kept(self) -> str:
        """The epoch whose weights are saved: "best" or "last"."""
        return self.keep or ("best" if self.early_stopping else "last")

    @property
    def identity(self) -> str:
        """Twelve hexadecimal digits, the same for settings that lead to the same weights."""
        settings = self.model_dump(mode="json", exclude=NOT_IN_IDENTITY)
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
