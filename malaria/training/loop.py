"""loop: run a network over its batches until it is trained, and keep the best weights."""

import importlib.util
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import numpy as np
from tqdm import tqdm

from malaria.base.errors import UserError
from malaria.base.streams import log
from malaria.networks.backend import keras, tf
from malaria.training.checkpoint import Progress, Row
from malaria.training.step import Learner


def compile_model(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
    """Give the model its optimizer, with its variables; of float16 it also scales the loss."""
    model.compile(optimizer=optimizer, jit_compile=False)
    model.optimizer.build(model.trainable_variables)


def run_epochs(
    learner: Learner,
    progress: Progress,
    *,
    epochs: int,
    patience: int | None,
    after_epoch: Callable[[Progress], object],
    keep: str = "best",
    check_interrupt: Callable[[], object] = lambda: None,
) -> Progress:
    """Train until `epochs` are done or the validation loss stops falling; return the Progress.

    progress: what is done already; it is changed. patience: as Progress.should_stop takes it. keep:
    "best" or "last", the epoch whose weights the model has at the end. check_interrupt: called
    every few steps; it may raise. Raises UserError if the loss is no longer a number.
    """
    model = learner.model
    for epoch in range(progress.epoch, epochs):
        if progress.should_stop(patience):
            break
        row, unaveraged = _run_epoch(learner, epoch, epochs, check_interrupt)
        progress.add(row, model.get_weights(), keep=keep)
        if unaveraged is not None:
            model.set_weights(unaveraged)
        after_epoch(progress)
    model.set_weights(progress.best_weights)
    return progress


def _run_epoch(
    learner: Learner, epoch: int, epochs: int, check_interrupt: Callable[[], object]
) -> tuple[Row, list[np.ndarray] | None]:
    """Train one epoch and validate; return (its row of the history, unaveraged weights or None).

    Where weights are averaged, the average is validated and stays in the model.
    """
    started, rate = time.perf_counter(), current_learning_rate(learner.model)
    stream = learner.pipeline.train(epoch)
    title = f"epoch {epoch + 1}/{epochs}"
    # On a terminal only.
    with tqdm(total=stream.count, desc=title, unit="step", leave=False, disable=None) as bar:

        def after_steps(steps: int) -> None:
            bar.update(steps)
            check_interrupt()

        trained = learner.train(stream, after_steps)
    seconds = time.perf_counter() - started
    unaveraged = average_weights(learner.model)
    checked = learner.validate(learner.pipeline.validate(), lambda steps: check_interrupt())
    row: Row = {"epoch": epoch + 1, "loss": trained[0], "accuracy": trained[1]}
    row |= {"val_loss": checked[0], "val_accuracy": checked[1]}
    row |= {"learning_rate": rate, "seconds": round(seconds, 1)}
    log(
        f"{title}: loss {row['loss']:.4f}, accuracy {row['accuracy']:.4f}; validation loss "
        f"{row['val_loss']:.4f}, accuracy {row['val_accuracy']:.4f}; {seconds:.0f} s"
    )
    if not math.isfinite(row["loss"]) or not math.isfinite(row["val_loss"]):
        raise UserError("the loss is no longer a number: set a lower learning_rate")
    return row, unaveraged


def average_weights(model: keras.Model) -> list[np.ndarray] | None:
    """Put the moving average, if one is kept, into the model; return the weights it had."""
    optimizer = _optimizer_of(model)
    if not optimizer.use_ema:
        return None
    before: list[np.ndarray] = model.get_weights()
    optimizer.finalize_variable_values(model.trainable_variables)
    return before


def current_learning_rate(model: keras.Model) -> float:
    """The learning rate of the next step; where layers have rates of their own, the head's."""
    # Of several devices a variable is no number, but its value is.
    return float(keras.ops.convert_to_tensor(_optimizer_of(model).learning_rate).numpy())


def _optimizer_of(model: keras.Model) -> keras.optimizers.Optimizer:
    """The optimizer itself: in float16 Keras wraps it into one that scales the loss."""
    return getattr(model.optimizer, "inner_optimizer", model.optimizer)


def open_board(folder: Path | str) -> Callable[[Row], None]:
    """A function that adds a row of the history to what `tensorboard --logdir=folder` shows.

    Raises UserError if the package tensorboard is missing.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise UserError("tensorboard: true needs a package: pip install tensorboard")
    writer = tf.summary.create_file_writer(str(folder))

    def write(row: Row) -> None:
        with writer.as_default():
            for name, value in row.items():
                tf.summary.scalar(name, value, step=row["epoch"])
        writer.flush()

    return write


@contextmanager
def defer_interrupts() -> Iterator[Callable[[], None]]:
    """Hold Ctrl-C back until the function that this gives is called: it raises KeyboardInterrupt.

    Raised at any moment, it is lost if Python is clearing away an object just then. Pressed a
    second time it is raised at once. Only the main thread receives signals; elsewhere nothing is
    changed.
    """
    pressed: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if pressed and callable(before):
            before(number, frame)
        pressed.append(number)

    def check() -> None:
        if pressed:
            raise KeyboardInterrupt

    # A program started in the background may be meant to ignore Ctrl-C.
    before = signal.getsignal(signal.SIGINT)
    is_ours = callable(before) and threading.current_thread() is threading.main_thread()
    if is_ours:
        signal.signal(signal.SIGINT, note)
    try:
        yield check
    finally:
        if is_ours:
            signal.signal(signal.SIGINT, before)
