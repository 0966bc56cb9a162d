"""devices: which CPU or GPUs a training runs on, and a line that says so."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

from malaria.base.gpu import explain, list_cards
from malaria.base.machine import has_bfloat16, usable_cores
from malaria.networks.backend import keras, tf
from malaria.training.workers import Workers

# The setting mixed_precision; choose_precision says what each value means.
MixedPrecision = Literal["auto"] | bool
# XLA compiles for half a minute, which fewer steps do not repay: on an H100 a step of vgg with 16
# images then takes 2 ms in place of 16.
XLA_FROM_STEPS = 3_000


@dataclass(frozen=True)
class Device:
    """Where to train.

    name: for people to read. has_gpu: whether it is one GPU or several. precision: to compute in,
    "float32", "float16" or "bfloat16". xla: whether XLA compiles the training steps.
    """

    strategy: tf.distribute.Strategy
    name: str
    has_gpu: bool
    precision: str
    xla: bool = False

    @property
    def arithmetic(self) -> dict[str, Any]:
        """What is computed in, as the saved model says it."""
        tf32 = self.has_gpu and half_precision() == "bfloat16"
        tf32 = tf32 and tf.config.experimental.tensor_float_32_execution_enabled()
        return {"precision": self.precision, "xla": self.xla, "tf32": tf32}


def choose_device(
    devices: str, mixed_precision: MixedPrecision, workers: Workers | None = None
) -> Device:
    """The Device for "auto" (the first GPU, else the CPU), "cpu", or "all" (every GPU).

    mixed_precision: as choose_precision takes it. workers: the machines that train together, each
    on all of its GPUs, or on its CPU.
    """
    if workers is not None and devices == "cpu":
        tf.config.set_visible_devices([], "GPU")
    strategy = None if workers is None else workers.make_strategy()
    gpus = [] if devices == "cpu" else tf.config.list_logical_devices("GPU")
    if strategy is None:
        gpus = gpus if devices == "all" else gpus[:1]
        strategy = _make_strategy(gpus)
    precision = choose_precision(mixed_precision, has_gpu=bool(gpus))
    name = _describe(devices, len(gpus), precision, mixed_precision)
    if workers is not None:
        name = f"worker {workers.index} of {len(workers.addresses)}: {name}"
    return Device(strategy, name, bool(gpus), precision)


def _make_strategy(gpus: Sequence[tf.config.LogicalDevice]) -> tf.distribute.Strategy:
    if len(gpus) > 1:
        return tf.distribute.MirroredStrategy([gpu.name for gpu in gpus])
    return tf.distribute.OneDeviceStrategy("/GPU:0") if gpus else tf.distribute.get_strategy()


def _describe(devices: str, gpus: int, precision: str, mixed: MixedPrecision) -> str:
    if gpus:
        make = _gpu_details().get("device_name", "of unknown make")
        name = f"GPU {make}" if gpus == 1 else f"{gpus} GPUs ({make})"
    else:
        name = f"CPU, {usable_cores()} cores"
        cards = [] if devices == "cpu" else list_cards()
        if reason := explain(cards, is_built_for_cuda=tf.test.is_built_with_cuda()):
            name += f"; nvidia-smi finds a GPU that TensorFlow does not see: {reason}"
    if precision != "float32":
        name += f", computing in {precision}"
    elif mixed is True:
        name += "; mixed_precision is not used: it would be slower on this processor"
    return name


def choose_precision(mixed: MixedPrecision, *, has_gpu: bool) -> str:
    """The precision to compute in: "float32", or the half precision "float16" or "bfloat16".

    mixed: False means float32. True means bfloat16 on a processor with units for it, on others
    float32, which is faster there; on a GPU what half_precision says. "auto" is True on a
    processor, False on a GPU. Weights and the last layer are float32 in any case.
    """
    if has_gpu:
        return (mixed is True and half_precision()) or "float32"
    # Without oneDNN, TensorFlow does not use these units.
    is_faster = has_bfloat16() and os.environ.get("TF_ENABLE_ONEDNN_OPTS") != "0"
    return "bfloat16" if mixed and is_faster else "float32"


def choose_compiler(device: Device, steps: int) -> Device:
    """The device, with XLA where a training of so many steps repays compiling."""
    # The sum over several GPUs cannot be compiled.
    is_alone = device.strategy.num_replicas_in_sync == 1
    return replace(device, xla=device.has_gpu and is_alone and steps >= XLA_FROM_STEPS)


def half_precision() -> str | None:
    """The half precision that the first GPU has units for, or None.

    bfloat16, which has float32's range, from compute capability 8.0 on; float16 from 7.0 on.
    Source: NVIDIA, "CUDA C++ Programming Guide", instructions by compute capability.
    """
    capability = _gpu_details().get("compute_capability", (0, 0))
    return "bfloat16" if capability >= (8, 0) else "float16" if capability >= (7, 0) else None


@contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """Networks that are built in this block compute in this precision, also later."""
    keras.config.set_dtype_policy("float32" if precision == "float32" else f"mixed_{precision}")
    try:
        yield
    finally:
        keras.config.set_dtype_policy("float32")


def _gpu_details() -> dict[str, Any]:
    gpus = tf.config.list_physical_devices("GPU")
    return tf.config.experimental.get_device_details(gpus[0]) if gpus else {}


def set_determinism(seed: int, *, deterministic: bool) -> None:
    """Seed all random numbers: of Python, numpy and TensorFlow.

    deterministic: the same seed gives the same result to the last bit, a little slower.
    """
    keras.utils.set_random_seed(seed)
    if deterministic:
        tf.config.experimental.enable_op_determinism()
