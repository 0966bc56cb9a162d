"""Tests of benchmarks/average_weights.py."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from malaria.data.dataset import LABELS
from malaria.model import build_model
from malaria.networks.save import save_pair
from malaria.pictures.images import PixelFormat
from malaria.saved.metadata import Metadata
from malaria.settings.config import Config

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "average_weights.py"
SIZE = (32, 32)
ENTRIES = Metadata(LABELS, LABELS[0], PixelFormat(SIZE)).to_entries()


def test_each_weight_is_the_mean_by_the_shares(tmp_path):
    spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    models = [build_model("compact", image_size=SIZE, label_count=2) for _ in range(2)]
    for name, model in zip("ab", models, strict=True):
        save_pair(model, tmp_path, name, ENTRIES)
    config = Config(model="compact", image_size=SIZE)
    mean = script.average([tmp_path / "a.h5", tmp_path / "b.h5"], [0.75, 0.25], config)
    one, other = (model.get_weights() for model in models)
    for given, first, second in zip(mean.get_weights(), one, other, strict=True):
        assert given == pytest.approx(0.75 * first + 0.25 * second, abs=1e-6)
    assert any(np.any(first != second) for first, second in zip(one, other, strict=True))
