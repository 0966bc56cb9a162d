"""check: what a training would do and how long it would take, without doing it."""

import time

import numpy as np

from malaria.data.loading import describe_data, load_data, load_folds, steps_in_epoch
from malaria.training.augmentation import augment
from malaria.training.batches import encode_labels
from malaria.training.devices import choose_device, set_determinism
from malaria.training.trainer import make_model

# The first steps also build the graph and warm the caches.
WARM_STEPS, TIMED_STEPS = 2, 4


def check(config, folds=1):
    """Yield lines for people: the data by side, the network, the steps, the estimated time.

    folds: how many such trainings there are to be.
    """
    set_determinism(config.random_state, deterministic=config.deterministic)
    device = choose_device(config.devices, config.mixed_precision)
    data = load_data(config) if folds == 1 else _first_fold(config, folds)
    yield from describe_data(config, data)
    steps = steps_in_epoch(config, data)
    model = make_model(config, device, steps)
    height, width = config.image_size
    yield f"network: {config.model}, {model.count_params():,} parameters, {height} x {width} pixels"
    yield f"epochs: {config.epochs} of {steps} steps of {config.batch_size} images"
    seconds, checking = _time_steps(model, config, data)
    training = config.epochs * steps * seconds
    validating = config.epochs * _validation_steps(config, data) * checking
    yield f"device: {device.name}, {config.batch_size / seconds:.1f} images/s while training"
    yield f"estimated time: {_duration(training + validating)}"
    if folds > 1:
        yield f"of {folds} folds: about {_duration(folds * (training + validating))}"


def _first_fold(config, count):
    data, parts = load_folds(config, count)
    return data.sides(*parts[0])


def _validation_steps(config, data):
    whole = -(-len(data.validation) // config.batch_size)
    return min(config.validation_steps or whole, whole)


def _time_steps(model, config, data):
    """Seconds of one training step and of one validation step, on one batch of the real data."""
    indices = np.resize(data.training, config.batch_size)
    labels = encode_labels(data.labels[indices], label_count=len(config.labels))
    images = augment(data.pixels.read(indices), config.augmentation, seed=[0, 0])
    return (
        _time(lambda: model.train_on_batch(images, labels)),
        _time(lambda: model.test_on_batch(images, labels)),
    )


def _time(step):
    for _ in range(WARM_STEPS):
        step()
    started = time.perf_counter()
    for _ in range(TIMED_STEPS):
        step()
    return (time.perf_counter() - started) / TIMED_STEPS


def _duration(seconds):
    minutes = seconds / 60
    return f"{minutes / 60:.1f} hours" if minutes >= 100 else f"{minutes:.1f} minutes"
