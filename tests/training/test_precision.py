"""Which numbers a GPU computes in: what a timing says, and what a resumed run goes on with."""

from dataclasses import replace

import pytest

from malaria.data.drawn_cells import write_cells
from malaria.networks.backend import keras
from malaria.settings.config import Config
from malaria.training import precision
from malaria.training.assembly import build, load_images, settled, split
from malaria.training.checkpoint import Progress, ResumePoint
from malaria.training.devices import choose_device
from malaria.training.precision import COMPILED_FROM, TIMED_FROM, settle


def build_nothing():
    raise AssertionError("the timing is another function here")


@pytest.fixture
def gpu(monkeypatch):
    """A device that says it is a GPU with units for bfloat16, on which bfloat16 takes no time."""
    monkeypatch.setattr(precision, "half_precision", lambda: "bfloat16")
    seconds = {"float32": 1.0, "bfloat16": 0.5}
    monkeypatch.setattr(precision, "_time_step", lambda build, name: seconds[name])
    return replace(choose_device("cpu", False), has_gpu=True), seconds


def test_a_long_training_computes_in_what_was_timed_to_be_quicker_and_is_compiled(gpu, capsys):
    device, seconds = gpu
    settled = settle(device, TIMED_FROM, build_nothing)
    assert (settled.precision, settled.xla) == ("bfloat16", True)
    assert "precision: bfloat16; 256 images took: float32 1000.0 ms, bfloat16 500.0 ms" in (
        capsys.readouterr().err
    )
    seconds["bfloat16"] = 0.99
    assert settle(device, TIMED_FROM, build_nothing).precision == "float32"


def test_what_would_not_repay_is_not_done(gpu):
    device, _ = gpu
    shorter = settle(device, TIMED_FROM - 1, build_nothing)
    assert (shorter.precision, shorter.xla) == ("float32", True)
    assert settle(device, COMPILED_FROM - 1, build_nothing) == device


def test_nothing_is_timed_where_every_run_has_to_give_the_same_bits(gpu):
    device, _ = gpu
    assert settle(device, TIMED_FROM, None).precision == "float32"


def test_a_processor_is_left_as_it_was_chosen(gpu):
    device = replace(gpu[0], has_gpu=False)
    assert (
        settle(device, TIMED_FROM, build_nothing, {"precision": "float16", "xla": True}) == device
    )


def test_a_resumed_run_goes_on_in_the_numbers_it_began_with(gpu, tmp_path):
    device, _ = gpu
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.Adam())
    point = ResumePoint(tmp_path, "0123")
    assert point.arithmetic() is None
    began = replace(device, precision="float16", xla=True)
    point.save(Progress(arithmetic=began.arithmetic), model, "digest")
    assert settle(device, TIMED_FROM, build_nothing, point.arithmetic()) == began
    assert point.load(model, "digest").arithmetic == began.arithmetic


def test_the_timing_leaves_the_first_weights_as_they_would_be(monkeypatch, tmp_path):
    monkeypatch.setattr(precision, "half_precision", lambda: "bfloat16")
    monkeypatch.setattr(precision, "TIMED_IMAGES", 2)
    monkeypatch.setattr(precision, "TIMED_FROM", 1)
    write_cells(tmp_path, 3, patients=3)
    config = Config(train_images=str(tmp_path), model="compact", image_size=(16, 16), cache="none")
    images = split(config, load_images(config))
    plain = choose_device("cpu", False)
    weights = [
        build(config, plain, images).get_weights()[0]
        for device in (plain, replace(plain, has_gpu=True))
        if settled(config, device, images)
    ]
    assert (weights[0] == weights[1]).all()
