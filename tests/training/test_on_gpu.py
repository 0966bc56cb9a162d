"""What only a GPU can show: the same images, steps and answers as on a processor."""

from dataclasses import replace

import numpy as np
import pytest
from learning import pipeline_of, pixels_of

from malaria.augmentation.augment import augment
from malaria.inference.load_classifier import load_classifier
from malaria.model import build_model
from malaria.networks.backend import keras, tf
from malaria.settings.config import Augmentation
from malaria.training.loop import compile_model
from malaria.training.pipeline import upload
from malaria.training.step import Learner

pytestmark = pytest.mark.skipif(
    not tf.config.list_physical_devices("GPU"), reason="needs a GPU that TensorFlow sees"
)
SEED = (3, 4)
# All but jpeg, which rounds: a thousandth before it can be a step after it.
AMOUNTS = {"flips": True, "quarter_turns": True, "rotation": 45, "shear": 0.033, "zoom": 0.1}
AMOUNTS |= {"aspect_ratio": 0.1, "blur": 0.5, "brightness": 0.2, "color_jitter": 0.3}
AMOUNTS |= {"stain_transfer": 0.5, "stain_jitter": 0.3, "background": 0.7, "mask": 0.5}
AMOUNTS |= {"resolution": 0.3}


def cells(count, side=64):
    """Smooth images, half of them on black."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(80, 256, (count, 8, 8, 3))
    images = tf.image.resize(coarse, (side, side), method="bicubic").numpy()
    images[::2, :6] = images[::2, -6:] = images[::2, :, :6] = images[::2, :, -6:] = 0
    return np.clip(images, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("xla", [False, True])
def test_a_gpu_changes_images_as_a_processor_does(xla):
    images, amounts = cells(64), Augmentation(**AMOUNTS).model_dump()
    change = tf.function(lambda pixels: augment(pixels, amounts, seed=SEED), jit_compile=xla)
    with tf.device("CPU:0"):
        expected = augment(tf.constant(images), amounts, seed=SEED).numpy()
    with tf.device("GPU:0"):
        received = change(tf.constant(images)).numpy()
    far = np.abs(received - expected) > 1 / 255
    # Where a comparison falls on the edge of a mask, one digit decides.
    assert far.mean() < 1e-3


def first_steps(device, network, *, on_device, xla=False):
    """Losses of the first step and of the epoch after it, in float32."""
    strategy = tf.distribute.OneDeviceStrategy(device)
    keras.utils.set_random_seed(1)
    with strategy.scope():
        model = build_model(network, image_size=(64, 64), label_count=2)
        compile_model(model, keras.optimizers.Adam(1e-4))
        for layer in model.layers:
            if isinstance(layer, keras.layers.Dropout):
                layer.rate = 0.0  # else each device drops others
    pixels = pixels_of(cells(64), np.arange(64) % 2)
    known = {"strategy": strategy, "batch_size": 64, "rotation": 20, "zoom": 0.1}
    pipeline = pipeline_of(pixels, **known)
    if on_device:
        pipeline = replace(pipeline, on_device=upload(pixels, strategy))
    learner = Learner(model, pipeline, xla=xla)
    losses = [learner.train(pipeline.train(epoch), lambda steps: None)[0] for epoch in range(2)]
    return [*losses, learner.validate(pipeline.validate(), lambda steps: None)[0]]


@pytest.mark.parametrize("network", ["vgg", "compact"])
@pytest.mark.parametrize(("on_device", "xla"), [(False, False), (True, False), (True, True)])
def test_a_gpu_takes_the_steps_that_a_processor_takes(network, on_device, xla):
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        expected = first_steps("CPU:0", network, on_device=False)
        received = first_steps("GPU:0", network, on_device=on_device, xla=xla)
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(True)
    assert received[0] == pytest.approx(expected[0], abs=1e-4)
    assert received[1:] == pytest.approx(expected[1:], rel=2e-2)


def test_keras_on_a_gpu_answers_as_litert_does():
    images = cells(32)
    keras_engine, litert_engine = (load_classifier(engine=name) for name in ("keras", "litert"))
    np.testing.assert_allclose(
        keras_engine.predict(images), litert_engine.predict(images), rtol=0, atol=1e-3
    )
