"""Tests of malaria/saved/metadata.py."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from malaria.base.errors import UserError
from malaria.base.files import sha256_of
from malaria.pictures.images import PixelFormat
from malaria.saved.architecture import network_size, output_form, rescales
from malaria.saved.metadata import KEY, Metadata, read_metadata
from malaria.saved.pair import Pair, find_pair, read_architecture

GOLDEN = Path(__file__).parents[1] / "networks" / "keras2"
ENTRIES = {
    "labels": ["NORMAL", "PNEUMONIA"],
    "positive_label": "PNEUMONIA",
    "image_size": [150, 120],
    "pixels": {"colour": "RGB", "resampling": "bilinear", "scale": 0.00392156862745098},
    "threshold": 0.25,
}


def with_metadata(folder, **changes):
    """(pair, architecture) with ENTRIES and `changes`; an entry that is None is left out."""
    pair = Pair.at(folder, "model")
    pair.weights.write_text("weights")
    entries = {**ENTRIES, "weights_sha256": sha256_of(pair.weights), **changes}
    return pair, {KEY: {key: value for key, value in entries.items() if value is not None}}


def test_a_historic_pair_is_read_as_the_original_read_pictures():
    pair = find_pair(GOLDEN / "form_2018.h5")
    metadata = read_metadata(pair, read_architecture(pair))
    assert metadata.labels == ("Parasitized", "Uninfected")
    assert metadata.positive_label == "Parasitized"
    assert metadata.pixels == PixelFormat((20, 20), "BGR", "bicubic", 1 / 255)
    assert (metadata.threshold, metadata.details) == (0.5, {})


@pytest.mark.parametrize(
    ("key", "shape", "size"),
    [
        *(("batch_input_shape", shape, None) for shape in (None, [None, None, None, 3])),
        *(("batch_input_shape", [None, side, 20, 3], None) for side in (10**9, float("inf"), "a")),
        ("batch_shape", [None, 128, 96, 3], (128, 96)),
    ],
)
def test_a_historic_network_without_a_possible_size_gets_the_originals(key, shape, size):
    layers = [{"config": {key: shape}}]
    architecture = {"config": {"layers": layers} if size else layers}
    assert network_size(architecture) == size
    metadata = read_metadata(Pair.at(".", "a"), architecture)
    assert metadata.pixels.size == (size or (141, 141))


def test_the_metadata_is_read_whole(tmp_path):
    pair, architecture = with_metadata(tmp_path, validation={"accuracy": 0.9})
    pixels = PixelFormat((150, 120), "RGB", "bilinear", 1 / 255)
    expected = Metadata(("NORMAL", "PNEUMONIA"), "PNEUMONIA", pixels, 0.25)
    read = read_metadata(pair, architecture)
    assert read == replace(expected, details=architecture[KEY])
    assert (read.positive, read.tta) == (1, False)


def test_what_is_written_is_what_is_read(tmp_path):
    pair, _ = with_metadata(tmp_path)
    metadata = Metadata(("a", "b", "c"), "b", PixelFormat((8, 8), "BGR", "bicubic", 1.0), 0.3, True)
    entries = {**metadata.to_entries(), "weights_sha256": sha256_of(pair.weights)}
    read = read_metadata(pair, {KEY: json.loads(json.dumps(entries))})
    assert read == replace(metadata, details=entries)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": None}, "no 'labels'"),
        ({"labels": "NP"}, "labels are no list"),
        ({"labels": ["NORMAL"]}, "expected two or more unlike labels"),
        ({"labels": ["A", "A"]}, "expected two or more unlike labels"),
        ({"labels": ["A", 2]}, "labels are not names"),
        ({"positive_label": "SICK"}, "positive_label is none of the labels"),
        ({"image_size": [150]}, "expected an image_size of height and width"),
        *(({"image_size": [150, side]}, f"a side of {side} pixels") for side in (True, 5000)),
        ({"pixels": {"colour": "CMYK"}}, "colour 'CMYK'"),
        ({"pixels": {"resampling": "lanczos"}}, "resampling 'lanczos'"),
        ({"pixels": {"resampling": "linear", "fit": "pad"}}, "linear goes with stretch only"),
        ({"pixels": {"scale": "0.5"}}, "scale '0.5'"),
        ({"pixels": {"scale": 10**400}}, "scale 1000"),
        ({"pixels": {"a\nb\x1b[2J": 1}}, r"unexpected keyword argument 'a\\nb\\x1b"),
        ({"pixels": 3}, "pixels are no object"),
        ({"pixels": {"scale": [1, 1]}}, "expected one number or three"),
        ({"pixels": {"offset": float("nan")}}, "offset nan"),
        ({"output": "words"}, "output 'words'"),
        *(
            ({"threshold": value}, f"threshold {str(value)[:4]}")
            for value in (float("nan"), 10**400, 1.5, True)
        ),
        *(({"tta": value, "image_size": [9, 9]}, f"tta '?{value}'?$") for value in (1, "yes")),
        ({"tta": True}, "tta is for square images"),
    ],
)
def test_an_impossible_metadata_is_refused_in_one_line(tmp_path, changes, message):
    pair, architecture = with_metadata(tmp_path, **changes)
    with pytest.raises(UserError, match=message) as caught:
        read_metadata(pair, architecture)
    assert len(str(caught.value)) < 500
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("entries", "output"),
    [
        ({}, "probabilities"),
        ({"logits": True}, "logits"),  # as version 2.2.0 and before wrote it
        ({"logits": False}, "probabilities"),
        ({"output": "scores"}, "scores"),
    ],
)
def test_what_the_answers_are_is_read_as_every_version_wrote_it(tmp_path, entries, output):
    metadata = read_metadata(*with_metadata(tmp_path, **entries))
    assert metadata.output == output
    assert metadata.to_entries()["output"] == output


def dense(units, activation, *behind):
    layers = [{"class_name": "Dense", "config": {"units": units, "activation": activation}}]
    return {"config": {"layers": [*layers, *behind]}}


DROPOUT = {"class_name": "Dropout", "config": {}}
LINEAR = {"class_name": "Activation", "config": {"activation": "linear"}}
SIGMOID = {"class_name": "Activation", "config": {"activation": "sigmoid"}}


@pytest.mark.parametrize(
    ("architecture", "form"),
    [
        (dense(1, "sigmoid"), "probabilities"),
        (dense(3, "softmax"), "probabilities"),
        (dense(2, "sigmoid"), "scores"),
        (dense(2, "linear", SIGMOID), "scores"),
        (dense(1, "linear", SIGMOID), "probabilities"),
        (dense(2, "linear"), "logits"),
        (dense(1, "linear", DROPOUT), "logits"),
        # What half precision puts behind the softmax.
        (dense(2, "softmax", LINEAR), "probabilities"),
        (dense(2, "sigmoid", LINEAR, DROPOUT), "scores"),
    ],
)
def test_the_last_activation_says_what_the_answers_are(architecture, form):
    assert output_form(architecture) == form


def keras3(name, number):
    tensor = {"class_name": "__keras_tensor__", "config": {"shape": [None, 64, 64, 3]}}
    return {"class_name": name, "config": {}, "inbound_nodes": [{"args": [tensor, number]}]}


def keras2(number):
    nodes = [["image", 5, 0, {"y": number, "name": None}]]
    return {"class_name": "TFOpLambda", "config": {"function": "math.x"}, "inbound_nodes": nodes}


MEANS = {"class_name": "__tensor__", "config": {"value": [[[[-103.9, -116.8, -123.7]]]]}}
CONV = {"class_name": "Conv2D", "config": {"kernel_size": [3, 3]}}


@pytest.mark.parametrize(
    ("layers", "takes_levels"),
    [
        ([keras3("TrueDivide", 127.5), keras3("Subtract", 1.0)], True),
        ([keras3("GetItem", 2), keras3("Add", MEANS)], True),
        ([keras3("Multiply", 2.0), keras3("Subtract", 1.0)], False),
        ([keras3("Subtract", 0.485), keras3("TrueDivide", 0.229)], False),
        ([CONV, keras3("Add", 3.0)], False),  # as hard_swish begins
        *(([keras2(number)], takes) for number, takes in ((255.0, True), (1 / 255, True), (2, 0))),
        *(
            ([{"class_name": "Rescaling", "config": {"scale": scale}}], takes)
            for scale, takes in ((1 / 127.5, True), (2.0, False), ([0.017, 0.0175, 0.0174], True))
        ),
        ([{"class_name": "Normalization", "config": {}}, CONV], True),
        ([CONV], False),
    ],
)
def test_a_network_that_divides_grey_levels_itself_is_known(layers, takes_levels):
    assert rescales({"config": {"layers": layers}}) == takes_levels


def test_a_named_output_is_found():
    architecture = dense(2, "sigmoid")
    architecture["config"]["layers"][0]["name"] = "y"
    architecture["config"]["output_layers"] = {"y": ["y", 0, 0]}
    assert output_form(architecture) == "scores"


def test_the_metadata_that_is_no_object_is_refused(tmp_path):
    with pytest.raises(UserError, match="is damaged"):
        read_metadata(with_metadata(tmp_path)[0], {KEY: []})


@pytest.mark.parametrize("recorded", ["0" * 64, "\x1b[2J\n", None, 7])
def test_weights_of_another_checksum_are_refused_in_one_line(tmp_path, recorded):
    pair, architecture = with_metadata(tmp_path, weights_sha256=recorded)
    with pytest.raises(UserError, match=r"model.h5 does not belong to model.json") as caught:
        read_metadata(pair, architecture)
    assert str(caught.value).isprintable()
