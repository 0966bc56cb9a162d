"""Tests of malaria/networks/application_weights.py: Keras's own weights to begin with."""

import shutil

import h5py
import numpy as np
import pytest
from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

from malaria.base.errors import UserError
from malaria.model import build_model
from malaria.networks import application_weights
from malaria.networks.application_weights import download_of, fill_application, find_own_file
from malaria.networks.applications import keras_own
from malaria.networks.load_model import silence
from malaria.pictures.images import PixelFormat
from malaria.saved.pair import default_pair
from malaria.training.beginning import init_weights

SIZE, LABELS = (32, 32), ("a", "b")


@pytest.fixture(scope="module")
def source():
    """MobileNet with random weights, also where Keras begins with ones and zeros."""
    own, random = keras_own("MobileNet", SIZE), np.random.default_rng(1)
    own.set_weights([random.random(weights.shape, np.float32) for weights in own.get_weights()])
    return own


@pytest.fixture(scope="module")
def path(source, tmp_path_factory):
    """Its weights in the form of the files that Keras offers."""
    found = tmp_path_factory.mktemp("weights") / "mobilenet_notop.h5"
    with silence(), h5py.File(found, "w") as file:
        save_weights_to_hdf5_group(file, source)
    return found


@pytest.fixture(scope="module")
def network():
    return build_model("keras.MobileNet", image_size=SIZE, label_count=2)


def check_begins_with(network, source):
    found, expected = network.get_weights(), source.get_weights()
    assert len(found) == len(expected) + 2
    for one, other in zip(found, expected, strict=False):
        np.testing.assert_array_equal(one, other)


def forget(network):
    network.set_weights([0 * weights for weights in network.get_weights()])


def test_a_training_begins_with_exactly_the_weights_of_a_file_of_keras(
    network, source, path, capsys
):
    forget(network)
    head = network.layers[-1].get_weights()
    init_weights(network, str(path), LABELS, PixelFormat(SIZE))
    check_begins_with(network, source)
    np.testing.assert_array_equal(network.layers[-1].get_weights()[0], head[0])
    told = f"all layers but the head begin with the weights of {path}\n"
    assert capsys.readouterr().err == told


def test_weights_in_the_form_of_keras_3_are_read_too(network, source, tmp_path):
    with silence():
        source.save_weights(tmp_path / "own.weights.h5")
    forget(network)
    init_weights(network, str(tmp_path / "own.weights.h5"), LABELS, PixelFormat(SIZE))
    check_begins_with(network, source)


def test_names_that_are_spread_over_several_attributes_are_read(network, source, path, tmp_path):
    copy = shutil.copy(path, tmp_path / "large_notop.h5")
    with h5py.File(copy, "r+") as file:
        names = file.attrs["layer_names"]
        file.attrs["layer_names0"], file.attrs["layer_names1"] = names[:9], names[9:]
        del file.attrs["layer_names"]
    forget(network)
    fill_application(network, copy)
    check_begins_with(network, source)


def reshaped(file):
    [place] = file["conv1"].attrs["weight_names"][:1]
    del file["conv1"][place]
    file["conv1"][place] = np.zeros((3, 3, 3, 8), np.float32)


def no_number(file):
    [place] = file["conv1"].attrs["weight_names"][:1]
    file["conv1"][place][0] = np.nan


def with_top(file):
    names = file.attrs["layer_names"]
    file.attrs["layer_names"] = [*names, "conv1"]


def linked(file):
    file["elsewhere"] = h5py.ExternalLink("/etc/passwd", "/")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (reshaped, r"'conv1/kernel': expected \(3, 3, 3, 32\) of floats, received \(3, 3, 3, 8\)"),
        (no_number, "not finite numbers"),
        (with_top, "expected 54 layers with weights, received 55"),
        (linked, "'elsewhere' is a link, which could lead out of the file"),
    ],
)
def test_weights_of_another_network_and_damaged_ones_are_refused_in_one_line(
    change, told, network, path, tmp_path
):
    copy = shutil.copy(path, tmp_path / "other_notop.h5")
    with h5py.File(copy, "r+") as file:
        change(file)
    before = [weights.copy() for weights in network.get_weights()]
    with pytest.raises(UserError, match=told) as caught:
        fill_application(network, copy)
    assert str(caught.value).startswith(f"init_weights: {copy} does not belong to keras.MobileNet")
    assert "\n" not in str(caught.value)
    for one, other in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_without_a_network_one_line_says_which_file_to_bring_from_where(monkeypatch):
    def refuse(name, url, **known):
        raise Exception(f"URL fetch failure on {url}: None -- no route to host")

    monkeypatch.setattr(application_weights.FILES, "get_file", refuse)
    with pytest.raises(UserError) as caught:
        find_own_file("keras.VGG16", "imagenet", SIZE)
    told = str(caught.value)
    assert told.startswith("init_weights: cannot fetch ImageNet's weights: no route to host; ")
    url = "/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5 (MD5 "
    assert url in told
    assert "set init_weights to the path of that file" in told
    assert "\n" not in told


def test_imagenet_is_what_keras_itself_fetches_for_images_of_that_size(
    network, source, path, monkeypatch
):
    asked = []

    def fetch(name, url, **known):
        asked.append((name, url, known))
        print("Downloading data")
        return str(path)

    monkeypatch.setattr(application_weights.FILES, "get_file", fetch)
    init_weights(network, "imagenet", LABELS, PixelFormat(SIZE))
    check_begins_with(network, source)
    [(name, url, known)] = asked
    assert url.endswith("/mobilenet/mobilenet_1_0_224_tf_no_top.h5")
    assert (name, known["cache_subdir"]) == ("mobilenet_1_0_224_tf_no_top.h5", "models")
    assert download_of("MobileNet", (128, 128)).name == "mobilenet_1_0_128_tf_no_top.h5"
    # It was not asked for anything else, and asks for files as before.
    assert application_weights.FILES.get_file is fetch


def test_a_saved_model_and_a_network_of_ours_have_no_file_of_kerass_own(path):
    assert find_own_file("keras.MobileNet", str(default_pair()), SIZE) is None
    assert find_own_file("compact", str(path), SIZE) is None
