"""precision: which numbers a GPU computes in, and whether XLA compiles its steps.

Half as many bits take half of the time or less where a GPU has units for them; whether they do, and
by how much, depends on card, network and libraries, so it is timed. Weights, sums and the last
layer are float32 in any case, and so is what is saved.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from malaria.base.streams import log
from malaria.networks.backend import keras, tf
from malaria.training.devices import Device, computing_in, half_precision
from malaria.training.losses import make_losses

# So many steps repay XLA, which compiles for half a minute: on an H100 vgg in batches of 16 then
# takes 2 ms a step in place of 16. The timing takes 9 seconds there, of which a training of the
# usual length would give back less.
COMPILED_FROM, TIMED_FROM = 3_000, 20_000
# Pictures of a timed step: so many that not the starting of its hundred parts is timed.
TIMED_IMAGES, WARM_STEPS, TIMED_STEPS = 256, 3, 10
# A gain of less than this share is none.
LEAST_GAIN = 0.05


def settle(
    device: Device,
    steps: int,
    build: Callable[[], keras.Model] | None,
    earlier: Mapping[str, Any] | None = None,
) -> Device:
    """The device with the quickest kind of numbers, and compiler, for a training of `steps` steps.

    Only a GPU is asked, and none of several machines, which might not agree. build: makes the
    network, to time it; None: nothing is timed, since the same run has to give the same bits, or
    since the user says the precision. earlier: the arithmetic of the interrupted run that goes on.
    """
    if not device.has_gpu or device.strategy.cluster_resolver is not None:
        return device
    if earlier is not None:
        return replace(device, precision=earlier["precision"], xla=earlier["xla"])
    # The sum over several GPUs cannot be compiled.
    is_alone = device.strategy.num_replicas_in_sync == 1
    device = replace(device, xla=is_alone and steps >= COMPILED_FROM)
    half = half_precision()
    if build is None or half is None or steps < TIMED_FROM:
        return device
    seconds = {name: _time_step(build, name) for name in ("float32", half)}
    quickest = half if seconds[half] < (1 - LEAST_GAIN) * seconds["float32"] else "float32"
    times = ", ".join(f"{name} {1000 * value:.1f} ms" for name, value in seconds.items())
    log(f"precision: {quickest}; {TIMED_IMAGES} images took: {times}")
    return replace(device, precision=quickest)


def _time_step(build: Callable[[], keras.Model], precision: str) -> float:
    """Seconds in which the first GPU computes the gradients of a batch."""
    with tf.device("GPU:0"), computing_in(precision):
        model = build()
        images = tf.random.uniform((TIMED_IMAGES, *model.input_shape[1:]))
        labels = tf.zeros((TIMED_IMAGES, 1))
        losses = make_losses(model.output_shape[-1], 0.0)

        @tf.function
        def step() -> tf.Tensor:
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(losses(labels, model(images, training=True)))
            gradients = tape.gradient(loss, model.trainable_variables)
            return tf.add_n([tf.reduce_sum(tf.cast(one, tf.float32)) for one in gradients])

        seconds = [_seconds_of(step) for _ in range(WARM_STEPS + TIMED_STEPS)]
    return float(np.median(seconds[WARM_STEPS:]))


def _seconds_of(step: tf.types.experimental.PolymorphicFunction) -> float:
    started = time.perf_counter()
    step().numpy()
    return time.perf_counter() - started
