"""Where training runs, and what is said of it."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from malaria.base import machine
from malaria.base.gpu import nvidia_smi_works
from malaria.base.machine import has_bfloat16, usable_cores
from malaria.model import build_model
from malaria.networks.backend import tf
from malaria.training import devices
from malaria.training.devices import (
    XLA_FROM_STEPS,
    choose_compiler,
    choose_device,
    choose_precision,
    computing_in,
)

TOP = Path(__file__).parents[2]
needs_no_gpu = pytest.mark.skipif(
    bool(tf.config.list_physical_devices("GPU")), reason="about machines without a GPU"
)
# Losses of the same steps on one device, and on two that share the batches.
SEVERAL_DEVICES = """
import sys
from malaria.networks.backend import keras, tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
from dataclasses import replace
import numpy as np
from learning import pipeline_of, pixels_of
from malaria.training.loop import compile_model
from malaria.training.norms import with_fast_norms
from malaria.training.optimizer import make_optimizer
from malaria.training.pipeline import upload
from malaria.training.step import Learner
from tiny import undropped

images = np.random.default_rng(0).integers(0, 256, (22, 24, 24, 3)).astype(np.uint8)
pixels = pixels_of(images, np.arange(22) % 2)
rates = {"learning_rate": 1e-3, "total_steps": 12, "steps_per_epoch": 1}


def losses_of(strategy, *, on_device=False, xla=False, schedule="constant", **random):
    keras.utils.set_random_seed(1)
    with strategy.scope():
        model = with_fast_norms(undropped((24, 24), 2))
        compile_model(model, make_optimizer(schedule, **rates, head={"probability"}))
    pipeline = pipeline_of(pixels, strategy=strategy, batch_size=15, **random)
    if on_device:
        pipeline = replace(pipeline, on_device=upload(pixels, strategy))
    learner, stream = Learner(model, pipeline, xla=xla), pipeline.train(0)
    first, _ = learner.train(replace(stream, count=1, smaller=0), lambda steps: None)
    second, _ = learner.train(replace(stream, count=1, smaller=1), lambda steps: None)
    validation, _ = learner.validate(pipeline.validate(), lambda steps: None)
    print(first, second, validation)


one = tf.distribute.get_strategy()
two = tf.distribute.MirroredStrategy(["/CPU:0", "/CPU:1"])
changes = {"on_device": True, "rotation": 20, "blur": 0.5}
losses_of(one, schedule="fine_tune")
losses_of(two, schedule="fine_tune", on_device=True)
losses_of(one, **changes)
losses_of(one, **changes, xla=True)
"""


def test_the_steps_of_two_devices_and_of_xla_are_those_of_one_device():
    folder = {"PYTHONPATH": f"{TOP}{os.pathsep}{Path(__file__).parent}"}
    result = subprocess.run(
        [sys.executable, "-c", SEVERAL_DEVICES],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | folder,
    )
    lines = [[float(word) for word in line.split()] for line in result.stdout.splitlines()]
    one, two, plain, compiled = lines
    # Batch norm is of the whole batch, and the last batch has another number of images.
    assert two[0] == pytest.approx(one[0], abs=1e-5)
    assert two[1:] == pytest.approx(one[1:], rel=1e-3)
    assert compiled[0] == pytest.approx(plain[0], abs=1e-4)
    assert compiled[1] == pytest.approx(plain[1], rel=5e-3)


@needs_no_gpu
def test_a_gpu_that_tensorflow_does_not_see_is_told_with_the_remedy(nvidia_smi):
    nvidia_smi("echo 'Some Card, 550.54.15, 80000, 81559'")
    name = choose_device("auto", False).name
    assert "nvidia-smi finds a GPU that TensorFlow does not see: " in name
    assert "pip install -r requirements-gpu.txt" in name
    assert "nvidia-smi" not in choose_device("cpu", False).name


@needs_no_gpu
@pytest.mark.parametrize("script", ["exit 9", "echo No devices were found"])
def test_without_a_gpu_the_cpu_is_named_and_a_driver_is_no_reason_to_complain(nvidia_smi, script):
    nvidia_smi(script)
    assert not nvidia_smi_works()
    for asked in ("auto", "cpu", "all"):
        device = choose_device(asked, False)
        assert device.name == f"CPU, {usable_cores()} cores"
        assert not device.has_gpu


def test_every_gpu_is_used_only_if_all_are_asked_for(monkeypatch):
    gpus = [tf.config.LogicalDevice(f"/device:GPU:{number}", "GPU") for number in range(2)]
    monkeypatch.setattr(devices.tf.config, "list_logical_devices", lambda kind: gpus)
    monkeypatch.setattr(devices, "_gpu_details", lambda: {"device_name": "Some Card"})
    monkeypatch.setattr(devices.tf.distribute, "MirroredStrategy", lambda names: names)
    every, first = (choose_device(asked, False) for asked in ("all", "auto"))
    assert every.strategy == ["/device:GPU:0", "/device:GPU:1"]
    assert every.name == "2 GPUs (Some Card)"
    assert first.strategy.num_replicas_in_sync == 1
    assert first.name == "GPU Some Card"


@pytest.mark.parametrize(
    ("mixed", "has_units", "precision"),
    [
        ("auto", True, "bfloat16"),
        ("auto", False, "float32"),
        (True, True, "bfloat16"),
        (True, False, "float32"),
        (False, True, "float32"),
    ],
)
def test_half_precision_is_used_only_where_it_is_faster(monkeypatch, mixed, has_units, precision):
    monkeypatch.setattr(devices, "has_bfloat16", lambda: has_units)
    assert choose_precision(mixed, has_gpu=False) == precision
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    assert choose_precision(mixed, has_gpu=False) == "float32"


@pytest.mark.parametrize(
    ("capability", "precision"),
    [((9, 0), "bfloat16"), ((8, 0), "bfloat16"), ((7, 0), "float16"), ((6, 1), None)],
)
def test_a_gpu_gets_the_half_precision_that_it_has_units_for_if_asked(
    monkeypatch, capability, precision
):
    monkeypatch.setattr(devices, "_gpu_details", lambda: {"compute_capability": capability})
    assert devices.half_precision() == precision
    assert choose_precision(True, has_gpu=True) == (precision or "float32")
    for mixed in ("auto", False):
        assert choose_precision(mixed, has_gpu=True) == "float32"


@needs_no_gpu
def test_the_precision_is_told_where_it_is_not_the_usual_or_not_what_was_asked_for(monkeypatch):
    monkeypatch.setattr(devices, "has_bfloat16", lambda: True)
    assert choose_device("auto", "auto").name.endswith(", computing in bfloat16")
    assert "float" not in choose_device("auto", False).name
    monkeypatch.setattr(devices, "has_bfloat16", lambda: False)
    assert "mixed_precision is not used" in choose_device("auto", True).name
    assert "precision" not in choose_device("auto", "auto").name


@pytest.mark.parametrize(
    ("flags", "has_units"),
    [("fma amx_bf16 avx512f", True), ("fma avx512_bf16", False), ("", False), (None, False)],
)
def test_a_processor_has_units_for_bfloat16_if_linux_lists_them(
    tmp_path, monkeypatch, flags, has_units
):
    path = tmp_path / "cpuinfo"
    if flags is not None:
        path.write_text(f"model name\t: Some\nflags\t\t: {flags}\n")
    monkeypatch.setattr(machine, "CPU_INFO", path)
    assert has_bfloat16() == has_units


def test_xla_compiles_the_steps_of_one_gpu_where_they_are_many():
    processor = choose_device("cpu", False)
    gpu = replace(processor, has_gpu=True)
    assert choose_compiler(gpu, XLA_FROM_STEPS).xla
    assert not choose_compiler(gpu, XLA_FROM_STEPS - 1).xla
    assert choose_compiler(processor, XLA_FROM_STEPS) == processor


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_precision_ends_in_float32_so_that_small_probabilities_survive(precision):
    with computing_in(precision):
        model = build_model("vgg", image_size=(48, 48), label_count=2)
    assert model.get_layer("dense1").compute_dtype == precision
    assert model.get_layer("probability").compute_dtype == "float32"
    assert {str(weight.dtype) for weight in model.weights} == {"float32"}
    with pytest.raises(ValueError, match="interrupted"), computing_in(precision):
        raise ValueError("interrupted")
    model = build_model("vgg", image_size=(48, 48), label_count=2)
    assert model.get_layer("dense1").compute_dtype == "float32"
