"""dry_run: what a training would do and how long it would take, without doing it."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from malaria.data.duplicates import ContradictionError
from malaria.data.labelled_images import LabelledImages, describe_images
from malaria.data.splits import Folds
from malaria.settings.config import Config
from malaria.training import assembly
from malaria.training.cross_validation import divide
from malaria.training.devices import choose_device, set_determinism
from malaria.training.feed import Feed, Stream
from malaria.training.step import Learner

# The first steps also build the graph and warm the caches.
WARM_STEPS, TIMED_STEPS = 2, 4


def dry_run(config: Config, folds: Folds = 1) -> Iterator[str]:
    """Yield lines for people: the data by side, the network, the steps, the estimated time.

    folds: how many such trainings there are to be, or one for each source. Raises UserError as a
    training would, for pictures under two labels (ContradictionError) only in the end.
    """
    set_determinism(config.random_state, deterministic=config.deterministic)
    device = choose_device(config.devices, config.mixed_precision)
    try:
        images, refusal = _load(config, folds), None
    except ContradictionError as error:
        # The rest is worth knowing too.
        config, refusal = config.model_copy(update={"contradictions": "exclude"}), error
        images = _load(config, folds)
    yield from describe_images(images, config.labels)
    count = assembly.steps_in_epoch(config, images)
    device = assembly.settled(config, device, images)
    model = assembly.build(config, device, images)
    height, width = config.image_size
    yield f"network: {config.model}, {model.count_params():,} parameters, {height} x {width} pixels"
    yield f"epochs: {config.epochs} of {count} steps of {config.batch_size} images"
    feed = assembly.make_feed(config, device, images)
    seconds, checking = _time_steps(feed, assembly.make_learner(config, device, model))
    training = config.epochs * count * seconds
    validating = config.epochs * feed.validation_count * checking
    yield f"device: {device.name}, {config.batch_size / seconds:.1f} images/s while training"
    yield f"estimated time: {_duration(training + validating)}"
    count = len(config.folders) if folds == "source" else folds
    if count > 1:
        yield f"of {count} folds: about {_duration(count * (training + validating))}"
    if refusal is not None:
        raise refusal


def _load(config: Config, folds: Folds) -> LabelledImages:
    """The images, split as for a training or as for the first of several folds."""
    images = assembly.load_images(config)
    if folds == 1:
        return assembly.split(config, images)
    return images.sides(*next(iter(divide(config, images.samples, folds).values())))


def _time_steps(feed: Feed, learner: Learner) -> tuple[float, float]:
    """Seconds of one training step and of one of validation, batches and all."""
    count = WARM_STEPS + TIMED_STEPS
    # Of few images the same ones again.
    validation = np.resize(feed.validation, count * feed.validation_size)
    feed = replace(feed, batches=replace(feed.batches, steps=count), validation=validation)
    return _time(learner.train, feed.train(0)), _time(learner.validate, feed.validate())


def _time(run: Callable[[Stream, Callable[[int], object]], object], stream: Stream) -> float:
    """Seconds of a step. The first ones build the graph and warm the caches; few are enough."""
    run(replace(stream, count=WARM_STEPS), lambda steps: None)
    started = time.perf_counter()
    run(replace(stream, count=TIMED_STEPS), lambda steps: None)
    return (time.perf_counter() - started) / TIMED_STEPS


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    return f"{minutes / 60:.1f} hours" if minutes >= 100 else f"{minutes:.1f} minutes"
