"""Tests of malaria/training/beginning.py: what a training can begin with."""

import json

import numpy as np
import pytest
from learning import details_of, model_of, rows_of, settings

from malaria.base.errors import UserError
from malaria.base.files import sha256_of
from malaria.data.dataset import LABELS
from malaria.evaluation.decisions import from_logits, label_probabilities
from malaria.model import build_model
from malaria.networks.ask import ask
from malaria.networks.backend import keras
from malaria.networks.load_model import silence
from malaria.pictures.images import PixelFormat
from malaria.saved.metadata import Metadata
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
    init_weights(model, "pretrained", ("Parasitized", "Uninfected", "c"), PixelFormat((48, 48)))
    told = "; anew: probability; its labels, Parasitized, Uninfected, are others\n"
    assert capsys.readouterr().err.endswith(told)
    np.testing.assert_array_equal(model.get_layer("probability").get_weights()[0], fresh)
    trained = model_of(default_pair())
    np.testing.assert_array_equal(
        *(one.get_layer("stage1_conv").get_weights()[0] for one in (model, trained))
    )


def test_weights_of_quite_another_network_are_refused():
    model = build_model("vgg", image_size=(48, 48), label_count=3)
    with pytest.raises(UserError, match=r"no layer of .* has the name and the shape"):
        init_weights(model, "pretrained", LABELS, PixelFormat((48, 48)))


PIXELS = PixelFormat((16, 16))
IMAGES = np.random.default_rng(1).random((5, 16, 16, 3), np.float32)


def answers_of(network, labels):
    """{label: its probability for each of IMAGES}."""
    return dict(zip(labels, label_probabilities(ask(network, IMAGES)).T, strict=True))


def fresh(labels):
    return build_model("tiny", image_size=(16, 16), label_count=len(labels))


def with_end(network, units, activation):
    """The same with another last layer."""
    last = keras.layers.Dense(units, activation=activation, name="probability")
    return keras.Model(network.inputs, last(network.layers[-2].output), name="tiny")


def write(network, folder, labels, pixels=PIXELS, **metadata):
    """A saved pair of this network with random weights; its path."""
    random, path = np.random.default_rng(2), folder / "source.h5"
    network.set_weights(
        [random.random(w.shape) - 0.3 * (w.ndim > 1) for w in network.get_weights()]
    )
    with silence():
        network.save(path, include_optimizer=False)
    entries = Metadata(labels, labels[0], pixels, **metadata).to_entries()
    content = json.loads(network.to_json()) | {"malaria": entries}
    content["malaria"]["weights_sha256"] = sha256_of(path)
    path.with_suffix(".json").write_text(json.dumps(content))
    return path


def test_of_a_thousand_labels_of_the_source_the_first_few_are_told(tmp_path, capsys):
    labels = tuple(f"imagenet_{number:04}" for number in range(1000))
    source = write(fresh(labels), tmp_path, labels)
    init_weights(fresh(LABELS), str(source), LABELS, PIXELS)
    told = capsys.readouterr().err
    assert "anew: probability; its labels, imagenet_0000, imagenet_0001, " in told
    assert told.endswith("..., are others\n")
    assert len(told) < 400


@pytest.mark.parametrize(
    ("before", "now"),
    [("ab", "ab"), ("ab", "ba"), ("abc", "abc"), ("abc", "cab")],
)
def test_the_outputs_of_the_source_are_matched_by_the_names_of_its_labels(
    before, now, tmp_path, capsys
):
    source, network = fresh(before), fresh(now)
    path = write(source, tmp_path, tuple(before))
    init_weights(network, str(path), tuple(now), PIXELS)
    expected, found = answers_of(source, before), answers_of(network, now)
    for label in now:
        np.testing.assert_allclose(found[label], expected[label], atol=1e-6)
    assert np.ptp(found["a"]) > 0.001
    order = f"; its labels, {', '.join(before)}, are put in this order" if before != now else ""
    expected = f"3 layers begin with the weights of {path}{order}\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize(("units", "activation"), [(2, "softmax"), (1, None), (2, None)])
def test_a_softmax_of_two_and_logits_become_the_sigmoid_of_two_labels(units, activation, tmp_path):
    source = with_end(fresh("ab"), units, activation)
    path = write(source, tmp_path, ("a", "b"), output="probabilities" if activation else "logits")
    outputs = ask(source, IMAGES) if activation else from_logits(ask(source, IMAGES))
    network = fresh("ba")
    # Of one output the shape fits as it is, of two it is made to fit.
    init_weights(network, str(path), ("b", "a"), PIXELS)
    found = answers_of(network, "ba")
    np.testing.assert_allclose(found["b"], label_probabilities(outputs)[:, 1], atol=1e-6)


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ("ab", "ac", "anew: probability; its labels, a, b, are others"),
        ("abc", "abd", "anew: probability; its labels, a, b, c, are others"),
    ],
)
def test_a_head_of_other_labels_begins_anew_although_it_has_the_shape(
    before, now, told, tmp_path, capsys
):
    path, network = write(fresh(before), tmp_path, tuple(before)), fresh(now)
    kernel = network.layers[-1].get_weights()[0]
    init_weights(network, str(path), tuple(now), PIXELS)
    np.testing.assert_array_equal(network.layers[-1].get_weights()[0], kernel)
    assert f"2 layers begin with the weights of {path}; {told}\n" in capsys.readouterr().err


def test_two_sigmoids_and_a_model_that_names_no_labels_give_no_head(tmp_path, capsys):
    path = write(with_end(fresh("ab"), 2, "sigmoid"), tmp_path, ("a", "b"))
    init_weights(fresh("ab"), str(path), ("a", "b"), PIXELS)
    assert "; anew: probability\n" in capsys.readouterr().err
    with silence():
        fresh("ab").save(tmp_path / "foreign.keras")
    init_weights(fresh("ab"), str(tmp_path / "foreign.keras"), LABELS, PIXELS)
    told = "; anew: probability; which labels it tells apart is not known; it read images otherwise"
    assert told in capsys.readouterr().err


def test_a_source_that_read_images_otherwise_is_told(tmp_path, capsys):
    path = write(fresh("ab"), tmp_path, ("a", "b"), PixelFormat((20, 20), colour="BGR", fit="pad"))
    init_weights(fresh("ab"), str(path), ("a", "b"), PIXELS)
    told = "; it read images otherwise: colour BGR, here RGB; fit pad, here stretch: "
    assert told in capsys.readouterr().err
