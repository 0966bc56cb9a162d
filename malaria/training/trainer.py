"""training: one run from settings to a saved pair, which can be interrupted and resumed."""

import signal
from contextlib import contextmanager
from pathlib import Path

from malaria.cli.command import say
from malaria.data.loading import describe_data, load_data, steps_in_epoch
from malaria.model import build_model
from malaria.training.batches import training_batches, validation_batches
from malaria.training.checkpoint import Progress, ResumePoint
from malaria.training.devices import choose_device, computing_in, set_determinism
from malaria.training.finish import finish
from malaria.training.loop import compile_model, open_board, run_epochs
from malaria.training.optimizer import make_optimizer


def make_model(config, device, steps_per_epoch):
    """The network that `config` names, compiled, on the device."""
    with device.strategy.scope(), computing_in(device.precision):
        model = build_model(
            config.model,
            image_size=config.image_size,
            label_count=len(config.labels),
            any_size=config.small_epochs > 0,
        )
        optimizer = make_optimizer(
            config.schedule,
            learning_rate=config.learning_rate,
            total_steps=config.epochs * steps_per_epoch,
            steps_per_epoch=steps_per_epoch,
            warmup=config.warmup,
            weight_decay=config.weight_decay,
            weight_average=config.weight_average,
        )
        compile_model(
            model,
            optimizer=optimizer,
            label_smoothing=config.label_smoothing,
            has_gpu=device.has_gpu,
        )
    return model


def train(config, *, resume=False):
    """Train as `config` says and save what came of it; return the Outcome.

    resume: go on with the interrupted run of the same settings. Raises UserError.
    """
    point = ResumePoint(config.output_models, config.identity)
    point.check(resume=resume)
    show = _open_board(config)
    device = set_up(config)
    data = _load(config)
    model, progress = fit(config, data, device, point, resume=resume, show=show)
    with _kept(config, progress):
        finished = finish(config, data, model, progress)
    point.remove()
    return finished


def fit(config, data, device, point, *, resume, show=lambda row: None):
    """Train on one side of `data`; return (the network as it is to be saved, its Progress).

    point: where the state is kept after each epoch, and whence to go on with `resume`. show: called
    with each row of the history.
    """
    model = make_model(config, device, steps_in_epoch(config, data))
    progress = _begin(point, model, data, resume=resume)

    def after_epoch(progress):
        point.save(progress, model, data.digest)
        show(progress.history[-1])

    with _kept(config, progress), _interrupts() as check_interrupt:
        _run(config, data, model, progress, after_epoch, check_interrupt)
    return _plain(config, device, model), progress


@contextmanager
def _kept(config, progress):
    """Say after Ctrl-C what is not lost."""
    try:
        yield
    except KeyboardInterrupt:
        say(f"{progress.epoch} of {config.epochs} epochs are kept; go on with --resume")
        raise


@contextmanager
def _interrupts():
    """Give a function that raises KeyboardInterrupt if Ctrl-C was pressed; asked after each step.

    Raised where it happens, it is lost if Python is clearing away an object just then. Pressed a
    second time it is raised at once.
    """
    pressed = []

    def note(number, frame):
        if pressed:
            signal.default_int_handler(number, frame)
        pressed.append(number)

    def check():
        if pressed:
            raise KeyboardInterrupt

    # A program started in the background may be meant to ignore Ctrl-C.
    is_ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_ours:
        signal.signal(signal.SIGINT, note)
    try:
        yield check
    finally:
        if is_ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _open_board(config):
    if not config.tensorboard:
        return lambda row: None
    return open_board(Path(config.output_models) / "tensorboard" / config.identity)


def set_up(config):
    """Seeds and device, in this order; the device is told."""
    set_determinism(config.random_state, deterministic=config.deterministic)
    device = choose_device(config.devices, config.mixed_precision)
    say(f"device: {device.name}")
    return device


def _load(config):
    data = load_data(config)
    for line in describe_data(config, data):
        say(line)
    return data


def _begin(point, model, data, *, resume):
    """The Progress to go on with; a new one is saved at once, so that there always is one."""
    if resume:
        progress = point.load(model, data.digest)
        say(f"going on after epoch {progress.epoch}")
        return progress
    progress = Progress()
    point.save(progress, model, data.digest)
    return progress


def _plain(config, device, model):
    """The same network in float32 on one device, as it is to be saved."""
    if not device.has_gpu and device.precision == "float32" and not config.small_epochs:
        # Forget the optimizer, which takes twice the memory of the weights.
        model.compile()
        return model
    plain = build_model(config.model, image_size=config.image_size, label_count=len(config.labels))
    plain.set_weights(model.get_weights())
    return plain


def _run(config, data, model, progress, after_epoch, check_interrupt):
    def training(epoch):
        return training_batches(
            data.pixels,
            data.training,
            batch_size=config.batch_size,
            steps=config.steps_per_epoch,
            epoch=epoch,
            seed=config.random_state,
            augmentation=config.augmentation,
            size=config.small_size if epoch < config.small_epochs else None,
        )

    validation = validation_batches(
        data.pixels, data.validation, batch_size=config.batch_size, steps=config.validation_steps
    )
    run_epochs(
        model,
        progress,
        epochs=config.epochs,
        patience=config.early_stopping,
        training=training,
        validation=validation,
        after_epoch=after_epoch,
        keep=config.kept,
        check_interrupt=check_interrupt,
    )
