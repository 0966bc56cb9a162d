"""epochs: run a network over its batches until it is trained, and keep the best weights."""

import importlib.util
import math
import sys
import time

from tqdm import tqdm

from malaria.backend import keras, tf
from malaria.errors import UserError

FIGURES = ("loss", "accuracy")


def compile_model(model, *, learning_rate, schedule, warmup, total_steps, has_gpu):
    """Give the model its loss, and Adam with a learning rate that follows the schedule.

    schedule: "constant", or "cosine": up to `learning_rate` over the share `warmup` of
    `total_steps`, then down along a cosine (Loshchilov and Hutter 2016; with a warm-up of 0.3 it is
    the one-cycle schedule of Smith 2018).
    """
    if schedule == "cosine":
        warmup_steps = round(warmup * total_steps)
        learning_rate = keras.optimizers.schedules.CosineDecay(
            learning_rate / 25 if warmup_steps else learning_rate,
            decay_steps=max(1, total_steps - warmup_steps),
            warmup_target=learning_rate if warmup_steps else None,
            warmup_steps=warmup_steps,
        )
    two_labels = model.output_shape[-1] == 1
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss="binary_crossentropy" if two_labels else "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        # XLA makes a step on a CPU a third slower.
        jit_compile="auto" if has_gpu else False,
    )
    model.optimizer.build(model.trainable_variables)


def run_epochs(
    model,
    progress,
    *,
    epochs,
    patience,
    training,
    validation,
    after_epoch,
    check_interrupt=lambda: None,
):
    """Train until `epochs` are done or validation stops improving; return the Progress.

    training: epoch (from 0) -> its batches; validation: the batches to judge by. after_epoch:
    called with the progress. check_interrupt: called after each step, to raise. Ends with the best
    weights in the model. Raises UserError if the loss is no longer a number.
    """
    for epoch in range(progress.epoch, epochs):
        if progress.should_stop(patience):
            break
        row = _run_epoch(model, epoch, epochs, training(epoch), validation, check_interrupt)
        progress.add(row, model.get_weights())
        after_epoch(progress)
    model.set_weights(progress.best_weights)
    return progress


def _run_epoch(model, epoch, epochs, batches, validation, check_interrupt):
    """Train one epoch and validate; return its row of the history, after printing it."""
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
    print(describe_row(row, epochs), file=sys.stderr, flush=True)
    if not math.isfinite(row["loss"]) or not math.isfinite(row["val_loss"]):
        raise UserError("the loss is no longer a number: set a lower learning_rate")
    return row


def current_learning_rate(model):
    """The rate of the next step."""
    return float(keras.ops.convert_to_tensor(model.optimizer.learning_rate))


def describe_row(row, epochs):
    """One line for one epoch."""
    return (
        f"epoch {row['epoch']}/{epochs}: loss {row['loss']:.4f}, accuracy {row['accuracy']:.4f}; "
        f"validation loss {row['val_loss']:.4f}, accuracy {row['val_accuracy']:.4f}; "
        f"{row['seconds']:.0f} s"
    )


class EpochBar(keras.callbacks.Callback):
    """A bar of the epoch's steps on a terminal; nothing elsewhere. Asks for interrupts too."""

    def __init__(self, title, total, check_interrupt):
        super().__init__()
        self.check_interrupt = check_interrupt
        self.bar = tqdm(total=total, desc=title, unit="step", leave=False, disable=None)

    def on_train_batch_end(self, batch, logs=None):
        self.bar.update()
        self.check_interrupt()

    def on_test_batch_end(self, batch, logs=None):
        self.check_interrupt()

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
