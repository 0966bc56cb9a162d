"""devices: which CPU or GPUs a training runs on, and a line that says so."""

import os
from contextlib import contextmanager
from dataclasses import dataclass

from malaria.base.machine import has_bfloat16, nvidia_smi_works, usable_cores
from malaria.networks.backend import keras, tf


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
    strategy, name = _place(devices, gpus)
    name += _describe_precision(precision, mixed_precision)
    return Device(strategy, name, bool(gpus), precision)


def _place(devices, gpus):
    """(strategy, its name)."""
    if devices == "all" and len(gpus) > 1:
        return mirror([gpu.name for gpu in gpus]), f"{len(gpus)} GPUs ({_gpu_name()})"
    if gpus:
        return tf.distribute.OneDeviceStrategy("/GPU:0"), f"GPU {_gpu_name()}"
    name = f"CPU, {usable_cores()} cores{'' if devices == 'cpu' else _why_no_gpu()}"
    return tf.distribute.get_strategy(), name


def _describe_precision(precision, mixed):
    if precision != "float32":
        return f", computing in {precision}"
    return "; mixed_precision is not used: it would be slower on this processor" * (mixed is True)


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
