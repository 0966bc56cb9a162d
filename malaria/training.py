"""training: one run from settings to a saved pair, which can be interrupted and resumed."""

import sys
from pathlib import Path

from malaria.devices import choose_device, set_determinism, set_precision
from malaria.epochs import compile_model, open_board, run_epochs
from malaria.finish import finish
from malaria.model import build_model
from malaria.pipeline import training_batches, validation_batches
from malaria.prepare import describe_data, load_data, steps_in_epoch
from malaria.resume import Progress, ResumePoint


def say(line):
    """Tell how things go, on stderr; stdout is for results."""
    print(line, file=sys.stderr, flush=True)


def make_model(config, device, total_steps):
    """The network that `config` names, compiled, on the device."""
    with device.strategy.scope():
        model = build_model(
            config.model, image_size=config.image_size, label_count=len(config.labels)
        )
        compile_model(
            model,
            learning_rate=config.learning_rate,
            schedule=config.schedule,
            warmup=config.warmup,
            total_steps=total_steps,
            has_gpu=device.has_gpu,
        )
    return model


def train(config, *, resume=False):
    """Train as `config` says and save what came of it; return the Outcome.

    resume: go on with the interrupted run of the same settings. Raises UserError.
    """
    set_determinism(config.random_state, deterministic=config.deterministic)
    device = choose_device(config.devices)
    say(f"device: {device.name}")
    if note := set_precision(mixed=config.mixed_precision, has_gpu=device.has_gpu):
        say(note)
    data = load_data(config)
    for line in describe_data(config, data):
        say(line)
    point = ResumePoint(config.output_models, config.identity, data.pixels.samples)
    model = make_model(config, device, config.epochs * steps_in_epoch(config, data))
    progress = _begin(point, model, resume=resume)
    try:
        progress = _run(config, data, model, progress, point)
    except KeyboardInterrupt:
        say(f"stopped after {progress.epoch} whole epochs; the same command with --resume goes on")
        raise
    finished = finish(config, data, progress)
    point.remove()
    return finished


def _begin(point, model, *, resume):
    """The Progress to go on with; a new one is saved at once, so that there always is one."""
    if resume:
        progress = point.load(model)
        say(f"going on after epoch {progress.epoch}")
        return progress
    point.check_absent()
    progress = Progress()
    point.save(progress, model)
    return progress


def _run(config, data, model, progress, point):
    def training(epoch):
        return training_batches(
            data.pixels,
            data.training,
            batch_size=config.batch_size,
            steps=config.steps_per_epoch,
            epoch=epoch,
            seed=config.random_state,
            augmentation=config.augmentation,
        )

    show = _open_board(config)

    def after_epoch(progress):
        point.save(progress, model)
        show(progress.history[-1])

    return run_epochs(
        model,
        progress,
        epochs=config.epochs,
        patience=config.early_stopping,
        training=training,
        validation=validation_batches(
            data.pixels,
            data.validation,
            batch_size=config.batch_size,
            steps=config.validation_steps,
        ),
        after_epoch=after_epoch,
    )


def _open_board(config):
    if not config.tensorboard:
        return lambda row: None
    return open_board(Path(config.output_models) / "tensorboard" / config.identity)
