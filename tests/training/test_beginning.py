"""Tests of malaria/training/beginning.py: what a training can begin with."""

import csv
import json

import numpy as np
import pytest

from malaria.base.errors import UserError
from malaria.data.drawn_cells import write_cells
from malaria.model import build_model
from malaria.networks.load_model import load_model
from malaria.saved.pair import default_pair, find_pair, read_architecture
from malaria.settings.config import Config
from malaria.training.beginning import init_weights
from malaria.training.trainer import train


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cells")
    write_cells(folder, 12, seed=1, patients=4)
    return folder


def settings(cells, folder, **changes):
    fast = {"model": "tiny", "image_size": (16, 16), "epochs": 1, "batch_size": 8}
    known = {"train_images": str(cells), "output_models": str(folder / "models")}
    unasked = {"plot_training_data": False, "guard": False, "augmentation": {}}
    return Config(**known | fast | unasked | changes)


def weights_of(path):
    return load_model(find_pair(path), read_architecture(find_pair(path))).get_weights()


def test_a_finished_run_goes_on_to_more_epochs(cells, tmp_path, capsys):
    first = train(settings(cells, tmp_path, epochs=2))
    result = train(settings(cells, tmp_path, epochs=3), resume=True)
    said = capsys.readouterr().err
    assert f"going on after epoch 2 of the finished {first.model}" in said
    assert "epoch 3/3: " in said
    with open(result.model.with_suffix("") / "history.csv", newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3"]
    details = json.loads(result.model.with_suffix(".json").read_text())["malaria"]
    assert details["epochs"]["run"] == 3
    assert first.model.is_file()


def test_a_run_of_other_settings_is_not_gone_on_with(cells, tmp_path):
    train(settings(cells, tmp_path, epochs=1))
    with pytest.raises(UserError, match="nothing to resume"):
        train(settings(cells, tmp_path, epochs=2, batch_size=4), resume=True)
    with pytest.raises(UserError, match="nothing to resume"):
        train(settings(cells, tmp_path, epochs=1), resume=True)


def test_a_training_begins_with_the_weights_of_a_saved_model(cells, tmp_path, capsys):
    first = train(settings(cells, tmp_path))
    # At such a rate nothing moves.
    still = {"learning_rate": 1e-12, "schedule": "constant", "random_state": 7}
    second = train(settings(cells, tmp_path, init_weights=str(first.model), **still))
    assert f"3 layers begin with the weights of {first.model}\n" in capsys.readouterr().err
    kernels = zip(weights_of(first.model), weights_of(second.model), strict=True)
    assert all(np.allclose(one, other, atol=1e-6) for one, other in kernels if one.ndim > 1)


def test_a_layer_of_another_shape_begins_anew(capsys):
    model = build_model("compact", image_size=(48, 48), label_count=3)
    fresh = model.get_layer("probability").get_weights()[0].copy()
    init_weights(model, "pretrained")
    assert "; anew: probability" in capsys.readouterr().err
    np.testing.assert_array_equal(model.get_layer("probability").get_weights()[0], fresh)
    trained = load_model(find_pair(default_pair()), read_architecture(find_pair(default_pair())))
    np.testing.assert_array_equal(
        model.get_layer("stage1_conv").get_weights()[0],
        trained.get_layer("stage1_conv").get_weights()[0],
    )


def test_weights_of_quite_another_network_are_refused():
    model = build_model("vgg", image_size=(48, 48), label_count=3)
    with pytest.raises(UserError, match=r"no layer of .* has the name and the shape"):
        init_weights(model, "pretrained")
