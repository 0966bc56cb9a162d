"""loop: run a network over its batches until it is trained, and keep the best weights."""

import importlib.util
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from malaria.base.errors import UserError
from malaria.base.streams import log
from malaria.networks.backend import keras, tf
from malaria.training.checkpoint import Progress, Row

METRICS = ("loss", "accuracy")


def compile_model(
    model: keras.Model,
    *,
    optimizer: keras.optimizers.Optimizer,
    label_smoothing: float = 0.0,
    has_gpu: bool = False,
) -> None:
    """Give the model its loss, its accuracy and its optimizer.

    label_smoothing: the share, 0..1, of a label's certainty that is spread over all labels (Szegedy
    et al. 2016); it is part of the loss that is reported while training.
    """
    if model.output_shape[-1] == 1:
        loss = keras.losses.BinaryCrossentropy(label_smoothing=label_smoothing)
        accuracy = keras.metrics.MeanMetricWrapper(_is_right, name="accuracy")
    else:
        loss = _categorical(model.output_shape[-1], label_smoothing)
        accuracy = keras.metrics.SparseCategoricalAccuracy("accuracy")
    # XLA makes a step on a CPU a third slower.
    jit_compile = "auto" if has_gpu else False
    model.compile(optimizer=optimizer, loss=loss, metrics=[accuracy], jit_compile=jit_compile)
    model.optimizer.build(model.trainable_variables)


def _is_right(labels: tf.Tensor, probabilities: tf.Tensor) -> tf.Tensor:
    """Whether both are on one side of one half; labels that teachers soften are not whole."""
    return keras.ops.equal(labels > 0.5, probabilities > 0.5)


def _categorical(
    label_count: int, label_smoothing: float
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """The cross-entropy, with smoothing, for labels 0, 1, ...; Keras's own has no smoothing."""

    def loss(labels: tf.Tensor, probabilities: tf.Tensor) -> tf.Tensor:
        labels = keras.ops.one_hot(keras.ops.reshape(labels, (-1,)), label_count)
        return keras.losses.categorical_crossentropy(
            labels, probabilities, label_smoothing=label_smoothing
        )

    return loss


def run_epochs(
    model: keras.Model,
    progress: Progress,
    *,
    epochs: int,
    patience: int | None,
    training: Callable[[int], tf.data.Dataset],
    validation: tf.data.Dataset,
    after_epoch: Callable[[Progress], object],
    keep: str = "best",
    check_interrupt: Callable[[], object] = lambda: None,
) -> Progress:
    """Train until `epochs` are done or the validation loss stops falling; return the Progress.

    progress: what is done already; it is changed. patience: as Progress.should_stop takes it.
    training: a function of the epoch, from 0, that returns its batches. validation: the batches for
    the validation loss. after_epoch: called with the progress. keep: "best" or "last", the epoch
    whose weights the model has at the end. check_interrupt: called after each step; it may raise.
    Raises UserError if the loss is no longer a number.
    """
    for epoch in range(progress.epoch, epochs):
        if progress.should_stop(patience):
            break
        row, unaveraged = _run_epoch(
            model, epoch, epochs, training(epoch), validation, check_interrupt
        )
        progress.add(row, model.get_weights(), keep=keep)
        if unaveraged is not None:
            model.set_weights(unaveraged)
        after_epoch(progress)
    model.set_weights(progress.best_weights)
    return progress


def _run_epoch(
    model: keras.Model,
    epoch: int,
    epochs: int,
    batches: tf.data.Dataset,
    validation: tf.data.Dataset,
    check_interrupt: Callable[[], object],
) -> tuple[Row, list[np.ndarray] | None]:
    """Train one epoch and validate; return (its row of the history, unaveraged weights or None).

    Where the weights are averaged, Keras leaves the average in the model, and the validation is of
    the average; training goes on from the unaveraged weights.
    """
    started, rate = time.perf_counter(), current_learning_rate(model)
    bar = EpochBar(
        f"epoch {epoch + 1}/{epochs}", total=len(batches), check_interrupt=check_interrupt
    )
    trained = model.fit(batches, epochs=1, verbose=0, callbacks=[bar], shuffle=False).history
    seconds = time.perf_counter() - started
    checked = model.evaluate(validation, verbose=0, return_dict=True, callbacks=[bar])
    row = _make_row(epoch + 1, trained, checked, learning_rate=rate, seconds=seconds)
    log(_describe_row(row, epochs))
    if not math.isfinite(row["loss"]) or not math.isfinite(row["val_loss"]):
        raise UserError("the loss is no longer a number: set a lower learning_rate")
    return row, bar.unaveraged


def _make_row(
    epoch: int,
    trained: Mapping[str, list[float]],
    checked: Mapping[str, float],
    *,
    learning_rate: float,
    seconds: float,
) -> Row:
    """A row of the history. trained: the history of one Keras epoch; checked: of the validation."""
    row: Row = {"epoch": epoch}
    row |= {name: trained[name][0] for name in METRICS}
    row |= {f"val_{name}": checked[name] for name in METRICS}
    return row | {"learning_rate": learning_rate, "seconds": round(seconds, 1)}


def current_learning_rate(model: keras.Model) -> float:
    """The learning rate of the next step; where layers have rates of their own, the head's."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    rate = getattr(optimizer, "head_rate", optimizer.learning_rate)
    return float(keras.ops.convert_to_tensor(rate))


def _describe_row(row: Row, epochs: int) -> str:
    """One line for one epoch."""
    return (
        f"epoch {row['epoch']}/{epochs}: loss {row['loss']:.4f}, accuracy {row['accuracy']:.4f}; "
        f"validation loss {row['val_loss']:.4f}, accuracy {row['val_accuracy']:.4f}; "
        f"{row['seconds']:.0f} s"
    )


class EpochBar(keras.callbacks.Callback):
    """Shows a bar of the steps of an epoch, on a terminal only, and checks for interrupts.

    unaveraged: the weights at the end of the epoch, if Keras then replaces them by their average.
    """

    def __init__(self, title: str, total: int, check_interrupt: Callable[[], object]) -> None:
        super().__init__()
        self.check_interrupt = check_interrupt
        self.unaveraged: list[np.ndarray] | None = None
        self.bar = tqdm(total=total, desc=title, unit="step", leave=False, disable=None)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        self.bar.update()
        self.check_interrupt()

    def on_test_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        self.check_interrupt()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        optimizer = self.model.optimizer
        # In float16 Keras wraps the optimizer into another one.
        if getattr(optimizer, "inner_optimizer", optimizer).use_ema:
            self.unaveraged = self.model.get_weights()

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        self.bar.close()


def open_board(folder: Path | str) -> Callable[[Row], None]:
    """A function that adds a row of the history to what `tensorboard --logdir=folder` shows.

    Raises UserError if the package tensorboard, which TensorFlow needs for this, is missing.
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
