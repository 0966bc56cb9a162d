"""assembly: images, network, batches and learner of a training, put together as a Config says.

The functions that trainer.py takes of a task, for networks that classify; those for detectors are
in detection_task.py.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from malaria.base.gpu import list_cards
from malaria.base.streams import log
from malaria.data import splits
from malaria.data.dataset import Sample
from malaria.data.duplicates import find_contradictions, refuse_contradictions
from malaria.data.exclusion import read_exclusion
from malaria.data.labelled_images import LabelledImages, check_labels, describe_images
from malaria.data.pixel_store import load_pixels, stored_bytes
from malaria.data.training_folders import TrainingFolder
from malaria.model import build_model
from malaria.networks.application_names import IMAGENET
from malaria.networks.application_weights import find_own_file
from malaria.networks.backend import keras
from malaria.pictures.images import PixelFormat
from malaria.pictures.passed_over import PassedOver
from malaria.settings.config import Config
from malaria.training.beginning import init_weights
from malaria.training.devices import Device, computing_in
from malaria.training.distillation import LabelMixing, load_teachers
from malaria.training.finish import conclude as conclude
from malaria.training.guard_head import kinds_of, with_kinds
from malaria.training.loop import compile_model
from malaria.training.losses import cross_entropy
from malaria.training.norms import with_fast_norms
from malaria.training.optimizer import find_head, find_stem, make_optimizer
from malaria.training.order import balance, balance_within, count_batches
from malaria.training.other_images import make_others
from malaria.training.pipeline import Pipeline, choose_validation, upload
from malaria.training.room import check_memory
from malaria.training.step import Learner


def load(config: Config) -> LabelledImages:
    """The images on their two sides. Raises UserError."""
    return split(config, load_images(config))


def describe(config: Config, images: LabelledImages) -> Iterator[str]:
    """What lies on each side, and what was passed over."""
    return describe_images(images, config.labels)


def load_images(config: Config) -> LabelledImages:
    """Scan, choose and read the images; they are not split yet. Raises UserError."""
    if config.init_weights == IMAGENET:
        # Before the reading, which takes minutes.
        find_own_file(config.model, IMAGENET, config.image_size)
    passed_over = PassedOver()
    samples = _scan(config, config.folders, passed_over)
    exclusion = read_exclusion(config.exclude, samples, config.base_folder)
    samples = splits.choose_samples(samples, config.train_size, seed=config.random_state)
    judged = _scan(config, config.validation_folders, passed_over)
    samples += [replace(one, is_validation=True) for one in judged]
    if config.split_by == "patient":
        # Before the reading, which takes minutes.
        splits.known_patients(samples)
    pixels, unreadable = load_pixels(
        samples,
        PixelFormat(config.image_size, fit=config.resize),
        cache=config.cache,
        folder=Path(config.output_models) / "cache",
    )
    check_labels(pixels.samples, config.labels)
    contradicted = find_contradictions(pixels.samples)
    if config.contradictions == "refuse":
        refuse_contradictions(contradicted, config.labels)
    if contradicted:
        log(f"left out: {len(contradicted)} images with the same pixels under two labels")
        pixels = pixels.without(set(contradicted))
        check_labels(pixels.samples, config.labels)
    return LabelledImages(pixels, unreadable, exclusion, passed_over, contradicted=contradicted)


def _scan(
    config: Config, folders: Sequence[TrainingFolder], passed_over: PassedOver
) -> list[Sample]:
    return [sample for one in folders for sample in one.scan(config.labels, passed_over)]


def split(config: Config, images: LabelledImages) -> LabelledImages:
    """The same images on their two sides. Raises UserError."""
    if config.validation_folders:
        return images.sides(*splits.split_as_given(images.samples, by=config.split_by))
    sides = splits.split_samples(
        images.samples, by=config.split_by, test_size=config.test_size, seed=config.random_state
    )
    return images.sides(*sides)


def steps_in_epoch(config: Config, images: LabelledImages) -> int:
    """The number of training steps of one epoch."""
    return config.steps_per_epoch or count_batches(len(_shown(config, images)), config.batch_size)


def total_steps(config: Config, images: LabelledImages) -> int:
    """The number of training steps of all epochs."""
    return config.epochs * steps_in_epoch(config, images)


def _shown(config: Config, images: LabelledImages) -> np.ndarray:
    """The indices of the images that one pass shows, some of them several times."""
    shown, labels = images.training, images.labels
    if config.balance == "none":
        return shown
    if config.balance == "label_in_source":
        shown = balance_within(shown, labels[shown], _sources(images, shown))
    sources = _sources(images, shown) if config.balance == "source" else None
    return balance(shown, labels[shown], sources)


def _sources(images: LabelledImages, indices: np.ndarray) -> list[str]:
    return [images.samples[index].source for index in indices]


def build(config: Config, device: Device, images: LabelledImages) -> keras.Model:
    """The network that `config` names, compiled, on the device. Raises UserError without room."""
    if not device.has_gpu:
        batch_size = -(-config.batch_size // device.strategy.num_replicas_in_sync)
        network = config.model, config.image_size, len(config.labels)
        check_memory(*network, batch_size, device.precision)
    with device.strategy.scope(), computing_in(device.precision):
        model = build_model(
            config.model,
            image_size=config.image_size,
            label_count=len(config.labels),
            any_size=config.progressive_epochs > 0,
        )
        if config.guard:
            model = with_kinds(model, len(kinds_of(config.not_cells)))
        model = compiled(config, device, model, steps_in_epoch(config, images))
        if config.init_weights is not None:
            init_weights(model, config.init_weights, config.labels, images.pixels.pixel_format)
    return model


def compiled(config: Config, device: Device, model: keras.Model, steps: int) -> keras.Model:
    """The network with its optimizer; steps: of an epoch. Called in the scope of the device."""
    # On a GPU XLA does the same for all layers.
    if not device.has_gpu or device.strategy.num_replicas_in_sync > 1:
        model = with_fast_norms(model)
    optimizer = make_optimizer(
        config.rates,
        learning_rate=config.learning_rate,
        total_steps=config.epochs * steps,
        steps_per_epoch=steps,
        warmup=config.warmup,
        weight_decay=config.weight_decay,
        ema_decay=config.ema_decay,
        head=find_head(model),
        stem=find_stem(model),
    )
    compile_model(model, optimizer)
    return model


def make_pipeline(config: Config, device: Device, images: LabelledImages) -> Pipeline:
    """The batches to train on and to validate on after each epoch, for the device."""
    small = config.progressive_size
    others = None
    if config.guard:
        others = make_others(images, config.not_cells or (), seed=config.random_state)
    return Pipeline(
        device.strategy,
        images.pixels,
        _shown(config, images),
        choose_validation(images.validation, config.validation_steps, config.batch_size),
        batch_size=config.batch_size,
        steps=config.steps_per_epoch,
        seed=config.random_state,
        augmentation=config.augmentation.model_dump(),
        negative=1 - config.labels.index(config.positive) if len(config.labels) == 2 else None,
        mix_labels=_load_teachers(config, device, images),
        image_size=lambda epoch: small if epoch < config.progressive_epochs else None,
        others=others,
        on_device=upload(images.pixels, device.strategy, others) if _fits(device, images) else None,
    )


def make_learner(config: Config, device: Device, model: keras.Model, pipeline: Pipeline) -> Learner:
    """What trains the network that `build` gave on the batches of the pipeline."""
    objective = cross_entropy(model.outputs[0].shape[-1], config.label_smoothing)
    return Learner(model, pipeline, objective, xla=device.xla)


def _load_teachers(config: Config, device: Device, images: LabelledImages) -> LabelMixing | None:
    if config.teachers is None:
        return None
    known = config.labels, images.pixels.pixel_format
    with device.strategy.scope():
        return load_teachers(config.teachers, *known, config.teacher_share)


def _fits(device: Device, images: LabelledImages) -> bool:
    """Whether the pixels of all images take at most half of the GPU's free memory."""
    if not device.has_gpu:
        return False
    needed = stored_bytes(len(images.samples), images.pixels.pixel_format)
    free = min((card.free_memory for card in list_cards()), default=0)
    return needed <= free * 2**20 / 2
