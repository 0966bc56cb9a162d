"""devices: which CPU or GPUs a training runs on, and a line that says so."""

from dataclasses import dataclass

from malaria.backend import keras, tf
from malaria.machine import nvidia_smi_works, usable_cores


@dataclass(frozen=True)
class Device:
    """Where to train. strategy: a tf.distribute strategy. name: for people. has_gpu: also more."""

    strategy: tf.distribute.Strategy
    name: str
    has_gpu: bool


def choose_device(devices):
    """The Device for "auto" (the first GPU, else the CPU), "cpu", or "all" (every GPU)."""
    gpus = [] if devices == "cpu" else tf.config.list_logical_devices("GPU")
    if devices == "all" and len(gpus) > 1:
        strategy = mirror([gpu.name for gpu in gpus])
        return Device(strategy, f"{len(gpus)} GPUs ({_gpu_name()})", has_gpu=True)
    if gpus:
        return Device(tf.distribute.OneDeviceStrategy("/GPU:0"), f"GPU {_gpu_name()}", has_gpu=True)
    name = f"CPU, {usable_cores()} cores{'' if devices == 'cpu' else _why_no_gpu()}"
    return Device(tf.distribute.get_strategy(), name, has_gpu=False)


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


def set_precision(*, mixed, has_gpu):
    """Compute in float16 where `mixed` and a GPU allow it, else in float32; return a line or ''."""
    keras.config.set_dtype_policy("mixed_float16" if mixed and has_gpu else "float32")
    return "mixed_precision: not used, it helps on GPUs only" if mixed and not has_gpu else ""


def set_determinism(seed, *, deterministic):
    """Seed everything; with `deterministic` the same seed gives the same bits, a little slower."""
    keras.utils.set_random_seed(seed)
    if deterministic:
        tf.config.experimental.enable_op_determinism()
