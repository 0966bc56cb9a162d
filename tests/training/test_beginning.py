"""Tests of malaria/training/beginning.py: what a training can begin with."""

import numpy as np
import pytest
from learning import details_of, model_of, rows_of, settings

from malaria.base.errors import UserError
from malaria.model import build_model
from malaria.saved.pair import default_pair
from malaria.training.beginning import init_weights
from malaria.training.trainer import train


def test_a_finished_run_goes_on_to_more_epochs_of_the_same_settings(cells, tmp_path, capsys):
    first = train(settings(cells, tmp_path, epochs=2))
    for other in ({"epochs": 3, "batch_size": 4}, {"epochs": 2}):
        with pytest.raises(UserError, match="nothing to resume"):
            train(settings(cells, tmp_path, **other), resume=True)
    result = train(settings(cells, tmp_path, epochs=3), resume=True)
    said = capsys.readouterr().err
    assert f"going on after epoch 2 of the finished {first.model}" in said
    assert "epoch 3/3: " in said
    history = rows_of(result.model.with_suffix("") / "history.csv")
    assert [row["epoch"] for row in history] == ["1", "2", "3"]
    assert details_of(result.model)["epochs"]["run"] == 3
    assert first.model.is_file()


def test_a_training_begins_with_the_weights_of_a_saved_model(cells, tmp_path, capsys):
    first = train(settings(cells, tmp_path))
    # At such a rate nothing moves.
    still = {"learning_rate": 1e-12, "schedule": "constant", "random_state": 7}
    second = train(settings(cells, tmp_path, init_weights=str(first.model), **still))
    assert f"3 layers begin with the weights of {first.model}\n" in capsys.readouterr().err
    both = (model_of(result.model).get_weights() for result in (first, second))
    kernels = [pair for pair in zip(*both, strict=True) if pair[0].ndim > 1]
    assert all(np.allclose(*pair, atol=1e-6) for pair in kernels)


def test_a_layer_of_another_shape_begins_anew(capsys):
    model = build_model("compact", image_size=(48, 48), label_count=3)
    fresh = model.get_layer("probability").get_weights()[0].copy()
    init_weights(model, "pretrained")
    assert "; anew: probability" in capsys.readouterr().err
    np.testing.assert_array_equal(model.get_layer("probability").get_weights()[0], fresh)
    trained = model_of(default_pair())
    np.testing.assert_array_equal(
        *(one.get_layer("stage1_conv").get_weights()[0] for one in (model, trained))
    )


def test_weights_of_quite_another_network_are_refused():
    model = build_model("vgg", image_size=(48, 48), label_count=3)
    with pytest.raises(UserError, match=r"no layer of .* has the name and the shape"):
        init_weights(model, "pretrained")
