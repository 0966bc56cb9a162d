"""The oldest Keras that the requirements allow takes the training step; the newest is installed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
[OLDEST] = re.findall(r"^keras>=([\d.]+),", (TOP / "requirements-common.txt").read_text(), re.M)
# A step of every kind of layer that Keras changed in between: batch norm, dropout, the optimizers.
STEPS = """
import numpy as np
from learning import pipeline_of, pixels_of
from malaria.networks.backend import keras
from malaria.training.loop import average_weights, compile_model
from malaria.training.norms import with_fast_norms
from malaria.training.optimizer import find_head, make_optimizer
from malaria.training.step import Learner
from tiny import tiny

images = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3)).astype(np.uint8)
pixels = pixels_of(images, [0, 1] * 4)
for schedule in ("cosine", "fine_tune"):
    model = with_fast_norms(tiny((16, 16), 2))
    known = {"learning_rate": 1e-3, "total_steps": 4, "steps_per_epoch": 1}
    known |= {"weight_decay": 0.1, "ema_decay": 0.9, "head": find_head(model)}
    compile_model(model, make_optimizer(schedule, **known))
    learner = Learner(model, pipeline_of(pixels, rotation=20))
    losses = [learner.train(learner.pipeline.train(n), lambda steps: None)[0] for n in range(3)]
    assert np.isfinite(losses).all() and average_weights(model) is not None
print(keras.__version__)
"""


def test_the_oldest_keras_takes_the_training_step(tmp_path):
    wanted = f"keras=={OLDEST}.*"
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", tmp_path]
    if subprocess.run([*install, wanted], capture_output=True, check=False).returncode != 0:
        pytest.skip(f"pip cannot get {wanted} here")
    folders = os.pathsep.join(map(str, (tmp_path, TOP, Path(__file__).parent)))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", STEPS],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": folders},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(OLDEST)
