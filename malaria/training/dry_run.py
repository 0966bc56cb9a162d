"""dry_run: what a training would do and how long it would take, without doing it."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from malaria.base.machine import peak_memory
from malaria.data.duplicates import refuse_contradictions
from malaria.data.labelled_images import LabelledImages
from malaria.data.look_alikes import describe_look_alikes
from malaria.data.splits import Folds
from malaria.settings.config import Config
from malaria.training import assembly
from malaria.training.choose_task import task_of
from malaria.training.cross_validation import divide
from malaria.training.devices import choose_compiler, choose_device, set_determinism
from malaria.training.pipeline import Stream
from malaria.training.room import raise_on_full_memory

# The first steps also build the graph and warm the caches.
WARM_STEPS, TIMED_STEPS = 2, 4


def dry_run(config: Config, folds: Folds = 1) -> Iterator[str]:
    """Yield lines for people: the data by side, the network, the steps, the estimated time.

    Raises UserError as a training would, for images under two labels only in the end.
    """
    set_determinism(config.random_state, deterministic=config.deterministic)
    device = choose_device(config.devices, config.mixed_precision)
    # Where images are under two labels, the rest is worth knowing too.
    wanted, config = config.contradictions, config.model_copy(update={"contradictions": "exclude"})
    task = task_of(config)
    images = task.load(config) if folds == 1 else _first_fold(config, folds)
    yield from task.describe(config, images)
    if isinstance(images, LabelledImages):
        yield from describe_look_alikes(images, config.labels)
    count = task.steps_in_epoch(config, images)
    device = choose_compiler(device, task.total_steps(config, images))
    with raise_on_full_memory():
        model = task.build(config, device, images)
    height, width = config.image_size
    yield f"network: {config.model}, {model.count_params():,} parameters, {height} x {width} pixels"
    yield f"epochs: {config.epochs} of {count} steps of {config.batch_size} images"
    pipeline = task.make_pipeline(config, device, images)
    validations = pipeline.validate().count
    pipeline = pipeline.shortened(WARM_STEPS + TIMED_STEPS)
    learner = task.make_learner(config, device, model, pipeline)
    with raise_on_full_memory():
        step = _time(learner.train, pipeline.train(0))
        validation_step = _time(learner.validate, pipeline.validate())
    seconds = config.epochs * (count * step + validations * validation_step)
    yield f"device: {device.name}, {config.batch_size / step:.1f} images/s while training"
    if (peak := peak_memory()) and not device.has_gpu:
        yield f"memory: {peak / 1e9:.1f} GB, measured in these steps"
    yield f"estimated time: {_duration(seconds)}"
    count = len(config.folders) if folds == "source" else folds
    if count > 1:
        yield f"of {count} folds: about {_duration(count * seconds)}"
    if wanted == "refuse" and isinstance(images, LabelledImages):
        refuse_contradictions(images.contradicted, config.labels)


def _first_fold(config: Config, folds: Folds) -> LabelledImages:
    """The images, split as for the first of several folds."""
    images = assembly.load_images(config)
    return images.sides(*next(iter(divide(config, images.samples, folds).values())))


def _time(run: Callable[[Stream, Callable[[int], object]], object], stream: Stream) -> float:
    """Seconds of a step."""
    run(replace(stream, count=WARM_STEPS), lambda steps: None)
    started = time.perf_counter()
    run(replace(stream, count=TIMED_STEPS), lambda steps: None)
    return (time.perf_counter() - started) / TIMED_STEPS


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    return f"{minutes / 60:.1f} hours" if minutes >= 100 else f"{minutes:.1f} minutes"
