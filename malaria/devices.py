"""devices: which CPU or GPUs a training runs on, and a line that says so."""

import os
from contextlib import contextmanager
from dataclasses import dataclass

from malaria.backend import keras, tf
from malaria.machine import has_bfloat16, nvidia_smi_works, usable_cores


@dataclass(frozen=True)
class Device:
    """Where to train. strategy: a tf.distribute strategy. name: for people. has_gpu: also more.

    precision: in which numbers to compute, float32, float16 or bfloat16.
    """

    strategy: tf.distribute.Strategy
    name: str
    has_gpu: bool
    precision: str


def choose_device(devices, mixed_precision):
    """The Device for "auto" (the first GPU, else the CPU), "cpu", or "all" (every GPU).

    mixed_precision: as choose_precision has it.
    """
    gpus = [] if devices == "cpu" else tf.config.list_logical_devices("GPU")
    precision = choose_precision(mixed_precision, has_gpu=bool(gpus))
    if devices == "all" and len(gpus) > 1:
        strategy, name = mirror([gpu.name for gpu in gpus]), f"{len(gpus)} GPUs ({_gpu_name()})"
    elif gpus:
        strategy, name = tf.distribute.OneDeviceStrategy("/GPU:0"), f"GPU {_gpu_name()}"
    else:
        strategy, name = tf.distribute.get_strategy(), f"CPU, {usable_cores()} cores"
        name += "" if devices == "cpu" else _why_no_gpu()
    if precision != "float32":
        name += f", computing in {precision}"
    elif mixed_precision is True:
        name += "; mixed_precision is not used: it would be slower on this processor"
    return Device(strategy, name, bool(gpus), precision)


def choose_precision(mixed, *, has_gpu):
    """In which numbers to compute: "float32", or half as long ones where these are quicker.

    mixed: True; False; or "auto": bfloat16 on a processor with units for it, but never float16,
    which older GPUs are slower with. Weights and the last layer are float32 in any case.
    """
    if has_gpu:
        return "float16" if mixed is True else "float32"
    # TensorFlow's own kernels, without oneDNN, do not use the units.
    is_quicker = has_bfloat16() and os.environ.get("TF_ENABLE_ONEDNN_OPTS") != "0"
    return "bfloat16" if mixed and is_quicker else "float32"


@contextmanager
def computing_in(precision):
    """Networks that are built meanwhile compute in this precision, and keep to it."""
    keras.config.set_dtype_policy("float32" if precision == "float32" else f"mixed_{precision}")
    try:
        yield
    finally:
        keras.config.set_dtype_policy("float32")


def mirror(names):
    """A strategy that keeps one copy of the network on each of these devices, in step."""
    return tf.distribute.MirroredStrategy(names)


def _gpu_name():
    details = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0])
    return details.get("device_name", "of unknown make")


def _why_no_gpu():
    """For a machine whose driver works while TensorFlow sees no GPU; '' where there is no GPU."""
    if not nvidia_smi_works():
        return ""
    built = "and is built for one; its CUDA may not fit the driver" * tf.test.is_built_with_cuda()
    return (
        f"; nvidia-smi finds a GPU but TensorFlow sees none {built}: "
        "pip install -r requirements-gpu.txt, and compare the driver with what it needs"
    )


def set_determinism(seed, *, deterministic):
    """Seed everything; with `deterministic` the same seed gives the same bits, a little slower."""
    keras.utils.set_random_seed(seed)
    if deterministic:
        tf.config.experimental.enable_op_determinism()
