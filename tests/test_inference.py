"""Tests of malaria/inference.py."""

import json

import numpy as np
import pytest

from malaria.backend import keras
from malaria.errors import UsageError
from malaria.images import PixelFormat
from malaria.inference import Classifier, load_classifier
from malaria.passport import KEY, Passport
from malaria.storage import save_pair

ENTRIES = {
    "labels": ["sick", "well"],
    "positive_label": "well",
    "image_size": [8, 6],
    "pixels": {"colour": "RGB", "resampling": "bilinear", "scale": 1 / 255},
    "threshold": 0.5,
}
PICTURES = np.random.default_rng(4).integers(256, size=(5, 8, 6, 3), dtype=np.uint8)


def network(outputs=1):
    keras.utils.set_random_seed(outputs)
    return keras.Sequential(
        [
            keras.Input((8, 6, 3)),
            keras.layers.Conv2D(2, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(outputs, activation="sigmoid" if outputs == 1 else "softmax"),
        ]
    )


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Saved networks: ours, and two without a passport, one of them of three labels."""
    folder = tmp_path_factory.mktemp("pairs")
    made = {
        "ours": network(),
        "historic": network(),
        "three": network(3),
    }
    for name, model in made.items():
        pair = save_pair(model, folder, name, ENTRIES)
        if name != "ours":
            architecture = json.loads(pair.architecture.read_text(encoding="utf-8"))
            del architecture[KEY]
            pair.architecture.write_text(json.dumps(architecture), encoding="utf-8")
        made[name] = (pair.weights, model)
    return made


def test_a_saved_network_answers_as_before(pairs):
    path, model = pairs["ours"]
    classifier = load_classifier(path)
    probabilities = classifier.predict(PICTURES)
    expected = model.predict(PICTURES.astype(np.float32) / 255, verbose=0)
    np.testing.assert_allclose(probabilities[:, 1:], expected, atol=1e-6)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert np.ptp(expected) > 0


def test_what_the_passport_says_holds_without_options(pairs):
    passport = load_classifier(pairs["ours"][0]).passport
    assert passport.labels == ("sick", "well")
    assert passport.positive_label == "well"
    assert passport.pixels == PixelFormat((8, 6))


def test_other_names_for_the_labels_keep_their_places(pairs):
    passport = load_classifier(pairs["ours"][0], labels=["krank", "gesund"]).passport
    assert passport.labels == ("krank", "gesund")
    assert passport.positive_label == "gesund"


def test_a_historic_pair_is_read_as_in_its_time(pairs):
    passport = load_classifier(pairs["historic"][0], labels=["NORMAL", "PNEUMONIA"]).passport
    assert passport.labels == ("NORMAL", "PNEUMONIA")
    assert passport.pixels == PixelFormat((8, 6), "BGR", "bicubic")


def test_the_size_a_network_has_anyway_may_be_named(pairs):
    assert load_classifier(pairs["ours"][0], size=[8, 6]).passport.pixels.size == (8, 6)


def test_three_outputs_take_three_names(pairs):
    classifier = load_classifier(pairs["three"][0], labels=["a", "b", "c"])
    assert classifier.passport.positive_label in classifier.passport.labels
    assert classifier.predict(PICTURES).shape == (5, 3)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("ours", {"labels": ["a", "b", "c"]},
         "--labels: the network tells 2 labels apart; received 3: a, b, c"),
        ("three", {}, "--labels: the network tells 3 labels apart; received 2: "
         "Parasitized, Uninfected"),
        ("three", {"labels": ["a\x1b", "b"]},
         "--labels: the network tells 3 labels apart; received 2: a\\x1b, b"),
        ("ours", {"size": (6, 8)},
         "--resize: the network takes 8,6 (height, width) and no other; received 6,8"),
        ("historic", {"size": (141, 141)},
         "--resize: the network takes 8,6 (height, width) and no other; received 141,141"),
    ],
)  # fmt: skip
def test_what_the_network_cannot_do_is_refused(pairs, name, options, message):
    with pytest.raises(UsageError) as caught:
        load_classifier(pairs[name][0], **options)
    assert str(caught.value) == message


@pytest.mark.parametrize(("threshold", "names"), [(0.5, ["sick", "well"]), (0.9, ["sick", "sick"])])
def test_decisions_are_names_by_the_threshold_of_the_positive_label(threshold, names):
    passport = Passport(("sick", "well"), "well", PixelFormat((8, 6)), threshold)
    classifier = Classifier(passport, network=None)
    assert classifier.decide(np.array([[0.6, 0.4], [0.2, 0.8]])) == names
