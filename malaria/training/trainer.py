"""trainer: one run from settings to a saved pair, which can be interrupted and resumed."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from malaria.base.streams import log
from malaria.evaluation.result import Result
from malaria.networks.backend import keras, tf
from malaria.saved.pair import Pair
from malaria.settings.config import Config
from malaria.settings.config_check import make_config
from malaria.training.beginning import continue_from, find_shorter_run
from malaria.training.checkpoint import Progress, ReadOnlyResumePoint, ResumePoint, Row
from malaria.training.choose_task import DetectionResult, Material, task_of
from malaria.training.devices import Device, choose_compiler, choose_device, set_determinism
from malaria.training.loop import defer_interrupts, open_board, run_epochs
from malaria.training.room import raise_on_full_memory
from malaria.training.workers import Workers, raise_on_lost_worker


def train(
    settings: Config | Mapping[str, Any], *, resume: bool = False, workers: Workers | None = None
) -> Result | DetectionResult:
    """Train a network, evaluate it and save it.

    Args:
        settings: a Config, or a dict of its settings; those left out keep their defaults.
        resume: go on with the interrupted run of the same settings.
        workers: train together with these, of which this process is the first; the others call
            `train_as_worker`.

    Returns:
        The Result on the validation images. Its `model` is the path of the saved .h5; the folder of
        the same name beside it holds metrics, tables and plots.

    Raises:
        UsageError: settings that cannot be, with every problem at once.
        UserError: what cannot be read, split, trained on or written; the end of another worker.
    """
    config = make_config(settings)
    point = ResumePoint(config.output_models, config.identity)
    with point.locked():
        shorter = _find_shorter_run(config, point, resume=resume)
        if shorter is None:
            point.check(resume=resume)
        board = Path(config.output_models) / "tensorboard" / config.identity
        show = open_board(board) if config.tensorboard else None
        images, model, progress = _train(
            config, point, workers, resume=resume, shorter=shorter, show=show
        )
        with report_interrupt(config, progress, images):
            result = task_of(config).conclude(config, images, model, progress)
        point.remove()
    return result


def train_as_worker(
    settings: Config | Mapping[str, Any], workers: Workers, *, resume: bool = False
) -> None:
    """Train as one of the workers that are not the first: nothing is written.

    With `resume` it reads the state that the first one wrote. Raises what `train` raises.
    """
    config = make_config(settings)
    point = ReadOnlyResumePoint(config.output_models, config.identity)
    shorter = _find_shorter_run(config, point, resume=resume)
    if resume and shorter is None:
        point.check(resume=True)
    _train(config, point, workers, resume=resume, shorter=shorter)


def _train(
    config: Config, point: ResumePoint, workers: Workers | None, **known: Any
) -> tuple[Material, keras.Model, Progress]:
    """Set up, load, and train; known: what `build_and_fit` takes by name."""
    with raise_on_lost_worker(workers), raise_on_full_memory():
        device = set_up(config, workers)
        images = load(config)
        model, progress = build_and_fit(config, device, images, point, **known)
    return images, model, progress


def _find_shorter_run(config: Config, point: ResumePoint, *, resume: bool) -> Pair | None:
    """The finished run of fewer epochs to go on with, if there is no interrupted one, or None."""
    return find_shorter_run(config) if resume and not point.path.exists() else None


def set_up(config: Config, workers: Workers | None = None) -> Device:
    """Seed the random numbers and choose the device, which is logged."""
    set_determinism(config.random_state, deterministic=config.deterministic)
    device = choose_device(config.devices, config.mixed_precision, workers)
    log(f"device: {device.name}")
    return device


def load(config: Config) -> Material:
    """The images on their two sides, which are logged."""
    task = task_of(config)
    images = task.load(config)
    for line in task.describe(config, images):
        log(line)
    return images


def build_and_fit(
    config: Config,
    device: Device,
    images: Material,
    point: ResumePoint,
    *,
    resume: bool,
    shorter: Pair | None = None,
    show: Callable[[Row], None] | None = None,
) -> tuple[keras.Model, Progress]:
    """Train a network on one side of the images; return it with how the training went.

    point: keeps the state after each epoch. shorter: a finished run to go on with instead. show:
    called with each row of the history.
    """
    task = task_of(config)
    device = choose_compiler(device, task.total_steps(config, images))
    model = task.build(config, device, images)
    progress = _begin(config, device, point, model, images, resume=resume, shorter=shorter)
    pipeline = task.make_pipeline(config, device, images)
    learner = task.make_learner(config, device, model, pipeline)

    def after_epoch(progress: Progress) -> None:
        point.save(progress, model, images.digest)
        if show is not None:
            show(progress.history[-1])

    with report_interrupt(config, progress, images), defer_interrupts() as check_interrupt:
        run_epochs(
            learner,
            progress,
            epochs=config.epochs,
            patience=config.early_stopping,
            after_epoch=after_epoch,
            keep=config.kept,
            check_interrupt=check_interrupt,
        )
    return model, progress


@contextmanager
def report_interrupt(config: Config, progress: Progress, images: Material) -> Iterator[None]:
    """Say after Ctrl-C what is kept, and of an image that is gone which one it was."""
    try:
        yield
    except tf.errors.OpError:
        if images.failures:
            raise images.failures[0] from None
        raise
    except KeyboardInterrupt:
        log(f"{progress.epoch} of {config.epochs} epochs are kept; go on with --resume")
        raise


def _begin(
    config: Config,
    device: Device,
    point: ResumePoint,
    model: keras.Model,
    images: Material,
    *,
    resume: bool,
    shorter: Pair | None,
) -> Progress:
    """The Progress to go on with; a new one is saved at once, so that there always is one."""
    if resume and shorter is None:
        progress = point.load(model, images.digest)
        log(f"going on after epoch {progress.epoch}")
        return progress
    progress = Progress()
    if shorter is not None:
        progress = continue_from(shorter, model, task_of(config).steps_in_epoch(config, images))
    progress.arithmetic = device.arithmetic
    point.save(progress, model, images.digest)
    return progress
