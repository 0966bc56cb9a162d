"""epochs: run a network over its batches until it is trained, and keep the best weights."""

import importlib.util
import math
import time

from tqdm import tqdm

from malaria.base.errors import UserError
from malaria.base.streams import log
from malaria.networks.backend import keras, tf

FIGURES = ("loss", "accuracy")


def compile_model(model, *, optimizer, label_smoothing=0.0, has_gpu=False):
    """Give the model its loss and its optimizer.

    label_smoothing: the share of a label's certainty that is spread over all labels (Szegedy et
    al. 2016); it is part of the loss that is reported while training.
    """
    if model.output_shape[-1] == 1:
        loss = keras.losses.BinaryCrossentropy(label_smoothing=label_smoothing)
        accuracy = keras.metrics.BinaryAccuracy("accuracy")
    else:
        loss = _categorical(model.output_shape[-1], label_smoothing)
        accuracy = keras.metrics.SparseCategoricalAccuracy("accuracy")
    # XLA makes a step on a CPU a third slower.
    jit_compile = "auto" if has_gpu else False
    model.compile(optimizer=optimizer, loss=loss, metrics=[accuracy], jit_compile=jit_compile)
    model.optimizer.build(model.trainable_variables)


def _categorical(label_count, label_smoothing):
    """Cross-entropy of whole numbers as labels; Keras's own knows no smoothing."""

    def loss(labels, probabilities):
        labels = keras.ops.one_hot(keras.ops.reshape(labels, (-1,)), label_count)
        return keras.losses.categorical_crossentropy(
            labels, probabilities, label_smoothing=label_smoothing
        )

    return loss


def run_epochs(
    model,
    progress,
    *,
    epochs,
    patience,
    training,
    validation,
    after_epoch,
    keep="best",
    check_interrupt=lambda: None,
):
    """Train until `epochs` are done or validation stops improving; return the Progress.

    training: epoch (from 0) -> its batches; validation: the batches to judge by. after_epoch:
    called with the progress. keep: "best" or "last", whose weights the model ends with.
    check_interrupt: called after each step, to raise. Raises UserError if the loss is no longer a
    number.
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


def _run_epoch(model, epoch, epochs, batches, validation, check_interrupt):
    """Train one epoch and validate; return (its row of the history, unaveraged weights or None).

    Where the weights are averaged, Keras leaves the average in the model, by which it is judged;
    training goes on from the others.
    """
    started, rate = time.perf_counter(), current_learning_rate(model)
    bar = EpochBar(
        f"epoch {epoch + 1}/{epochs}", total=len(batches), check_interrupt=check_interrupt
    )
    history = model.fit(batches, epochs=1, verbose=0, callbacks=[bar], shuffle=False).history
    seconds = time.perf_counter() - started
    checked = model.evaluate(validation, verbose=0, return_dict=True, callbacks=[bar])
    row = {"epoch": epoch + 1}
    row |= {name: history[name][0] for name in FIGURES}
    row |= {f"val_{name}": checked[name] for name in FIGURES}
    row |= {"learning_rate": rate, "seconds": round(seconds, 1)}
    log(describe_row(row, epochs))
    if not math.isfinite(row["loss"]) or not math.isfinite(row["val_loss"]):
        raise UserError("the loss is no longer a number: set a lower learning_rate")
    return row, bar.unaveraged


def current_learning_rate(model):
    """The rate of the next step; of the head's, where layers have rates of their own."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    rate = getattr(optimizer, "head_rate", optimizer.learning_rate)
    return float(keras.ops.convert_to_tensor(rate))


def describe_row(row, epochs):
    """One line for one epoch."""
    return (
        f"epoch {row['epoch']}/{epochs}: loss {row['loss']:.4f}, accuracy {row['accuracy']:.4f}; "
        f"validation loss {row['val_loss']:.4f}, accuracy {row['val_accuracy']:.4f}; "
        f"{row['seconds']:.0f} s"
    )


class EpochBar(keras.callbacks.Callback):
    """A bar of the epoch's steps on a terminal; nothing elsewhere. Asks for interrupts too.

    unaveraged: the weights at the end of the epoch, where Keras then puts their average in place.
    """

    def __init__(self, title, total, check_interrupt):
        super().__init__()
        self.check_interrupt = check_interrupt
        self.unaveraged = None
        self.bar = tqdm(total=total, desc=title, unit="step", leave=False, disable=None)

    def on_train_batch_end(self, batch, logs=None):
        self.bar.update()
        self.check_interrupt()

    def on_test_batch_end(self, batch, logs=None):
        self.check_interrupt()

    def on_epoch_end(self, epoch, logs=None):
        optimizer = self.model.optimizer
        # With half precision Keras wraps it.
        if getattr(optimizer, "inner_optimizer", optimizer).use_ema:
            self.unaveraged = self.model.get_weights()

    def on_train_end(self, logs=None):
        self.bar.close()


def open_board(folder):
    """A function that adds a row of the history to what `tensorboard --logdir` shows.

    Raises UserError where the package tensorboard, which TensorFlow's scalars need, is missing.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise UserError("tensorboard: true needs a package: pip install tensorboard")
    writer = tf.summary.create_file_writer(str(folder))

    def write(row):
        with writer.as_default():
            for name, value in row.items():
                tf.summary.scalar(name, value, step=row["epoch"])
        writer.flush()

    return write
