"""Epochs: the best is kept, patience ends them, and Ctrl-C counts between steps."""

import signal

import numpy as np
import pytest
from learning import pipeline_of, pixels_of

from malaria.base.errors import UserError
from malaria.model import build_model
from malaria.training.checkpoint import Progress
from malaria.training.loop import compile_model, current_learning_rate, defer_interrupts, run_epochs
from malaria.training.optimizer import make_optimizer
from malaria.training.step import Learner

IMAGES = np.random.default_rng(0).integers(0, 256, (8, 42, 42, 3)).astype(np.uint8)


def learner_of(schedule="constant", **rates):
    """What trains vgg on eight images."""
    model = build_model("vgg", image_size=(42, 42), label_count=2)
    rates = {"total_steps": 9, "steps_per_epoch": 3} | rates
    compile_model(model, make_optimizer(schedule, **rates))
    return Learner(model, pipeline_of(pixels_of(IMAGES, [0, 1] * 4)))


def test_the_best_epochs_weights_are_kept_and_patience_ends_the_run():
    # With such a rate the loss soon rises for good.
    learner, kept = learner_of(learning_rate=0.05), []
    progress = run_epochs(
        learner,
        Progress(),
        epochs=30,
        patience=2,
        after_epoch=lambda progress: kept.append(learner.model.get_weights()),
    )
    assert progress.epoch == progress.best_epoch + 2 < 30
    losses = [row["val_loss"] for row in progress.history]
    assert progress.best_loss == min(losses)
    best = kept[progress.best_epoch - 1]
    assert all((a == b).all() for a, b in zip(learner.model.get_weights(), best, strict=True))


def test_a_loss_that_is_no_number_is_an_error_that_names_the_setting():
    learner = learner_of(learning_rate=1e-3)
    weights = learner.model.get_weights()
    learner.model.set_weights([np.full_like(weight, np.nan) for weight in weights])
    with pytest.raises(UserError, match="lower learning_rate"):
        run_epochs(learner, Progress(), epochs=1, patience=None, after_epoch=print)


def test_the_cosine_schedule_rises_to_its_peak_and_falls_to_zero():
    model = learner_of("cosine", learning_rate=1.0, total_steps=100, steps_per_epoch=10).model
    rates = []
    for step in range(101):
        model.optimizer.iterations.assign(step)
        rates.append(current_learning_rate(model))
    assert rates[0] == pytest.approx(1 / 25)
    assert np.argmax(rates) == 30
    assert max(rates) == pytest.approx(1, abs=1e-6)
    assert rates[100] == pytest.approx(0, abs=1e-6)
    assert (np.diff(rates[:31]) > 0).all()
    assert (np.diff(rates[30:]) < 0).all()


def test_ctrl_c_counts_at_the_next_step_and_a_second_one_at_once():
    with defer_interrupts() as check:
        check()
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            check()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
