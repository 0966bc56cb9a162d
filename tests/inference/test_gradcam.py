"""Tests of malaria/inference/gradcam.py."""

import itertools
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image, ImageFilter

from malaria.base.errors import UserError
from malaria.data.drawing import draw_cell, draw_stain
from malaria.inference.gradcam import GAP, Explainer, overlay, save_overlay
from malaria.model import NETWORKS, build_model
from malaria.networks.backend import keras
from malaria.networks.blocks import output as end

SIDE = 64
RNG = np.random.default_rng(0)
IMAGES = RNG.random((3, 32, 32, 3), np.float32)
IMAGE = RNG.integers(256, size=(20, 30, 3), dtype=np.uint8)


class Cells(NamedTuple):
    """Drawn cells; the first half is parasitized, which is label 0."""

    images: np.ndarray  # (n, SIDE, SIDE, 3), float32, 0..1
    parasites: np.ndarray  # (n, SIDE, SIDE), bool: where one was drawn, and a pixel around it
    labels: np.ndarray  # (n,)


def draw_cells(count, *, seed, patients=60):
    """`count` Cells per label, of patients that no other seed has."""
    stains = [draw_stain(np.random.default_rng([seed, n])) for n in range(patients)]
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1], count)
    drawn = [
        draw_cell(rng, parasitized=label == 0, stain=stains[number % patients])
        for number, label in enumerate(labels)
    ]
    images = np.stack([shrink(image) for image, _ in drawn])
    masks = [shrink(mask.astype(np.uint8) * 255, ImageFilter.MaxFilter(3)) for _, mask in drawn]
    return Cells(images.astype(np.float32) / 255, np.stack(masks) > 0, labels)


def shrink(pixels, image_filter=None):
    image = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.asarray(image.filter(image_filter) if image_filter else image)


def small_network(*, label_count=2, padding="same", side=32):
    """Stages of convolution, normalization and ReLU, then global pooling: it learns quickly."""
    layers = [keras.Input((side, side, 3))]
    for filters, strides in ((16, 2), (32, 2), (64, 1)):
        layers += [
            keras.layers.Conv2D(filters, 3, strides, padding=padding, use_bias=False),
            keras.layers.BatchNormalization(momentum=0.9),
            keras.layers.ReLU(),
        ]
    layers += [keras.layers.GlobalAveragePooling2D(), end(label_count)]
    return keras.Sequential(layers)


@pytest.fixture(scope="module")
def trained():
    keras.utils.set_random_seed(1)
    cells = draw_cells(150, seed=1)
    model = small_network(side=SIDE)
    # At a constant rate the accuracy on unseen cells jumps from epoch to epoch.
    rate = keras.optimizers.schedules.CosineDecay(3e-3, decay_steps=10 * 19)
    model.compile(keras.optimizers.Adam(rate), "binary_crossentropy", jit_compile=False)
    targets = cells.labels[:, None].astype(np.float32)
    model.fit(cells.images, targets, batch_size=16, epochs=10, verbose=0)
    return model


@pytest.fixture(scope="module")
def found(trained):
    """Parasitized Cells of unseen patients that the network found, and their heat maps."""
    cells = draw_cells(60, seed=2)
    right = (trained(cells.images).numpy()[:, 0] > 0.5) == cells.labels
    assert right.mean() > 0.7
    cells = Cells(*(values[right & (cells.labels == 0)] for values in cells))
    return cells, Explainer(trained).heat_maps(cells.images, cells.labels)


def share_on_parasites(heat_maps, parasites):
    """The mean share of a map's hottest tenth that lies where a parasite was drawn."""
    hottest = heat_maps >= np.quantile(heat_maps, 0.9, axis=(1, 2), keepdims=True)
    hottest &= heat_maps > 0
    return np.mean([mask[hot].mean() for hot, mask in zip(hottest, parasites, strict=True)])


def test_the_hottest_tenth_lies_on_the_parasite_far_more_often_than_chance(found):
    cells, heat_maps = found
    chance = cells.parasites.sum() / cells.images.any(axis=-1).sum()
    share = share_on_parasites(heat_maps, cells.parasites)
    assert share > 3 * chance
    assert share > 2 * share_on_parasites(heat_maps, np.roll(cells.parasites, 1, axis=0))


def test_the_parasite_speaks_against_the_other_label(trained, found):
    cells, heat_maps = found
    others = Explainer(trained).heat_maps(cells.images, 1 - cells.labels)
    share = share_on_parasites(others, cells.parasites)
    assert share < share_on_parasites(heat_maps, cells.parasites) / 3


@pytest.mark.parametrize(("factor", "tolerance"), [(1, 1e-6), (1e6, 1e-3)])
def test_a_network_from_a_file_and_one_that_is_more_than_sure_are_explained_the_same(
    trained, found, capfd, factor, tolerance
):
    cells, heat_maps = found
    # As storage reads it: from the .json, then its weights.
    copy = keras.models.model_from_json(trained.to_json())
    *weights, kernel, bias = trained.get_weights()
    copy.set_weights([*weights, factor * kernel, factor * bias])
    assert factor == 1 or (copy(cells.images).numpy() == 0).all()
    again = Explainer(copy).heat_maps(cells.images, cells.labels)
    assert np.abs(again - heat_maps).max() < tolerance
    assert capfd.readouterr() == ("", "")


def test_of_two_sigmoids_the_scores_divided_by_their_sum_are_explained():
    keras.utils.set_random_seed(3)
    conv, pool = keras.layers.Conv2D(4, 3, activation="relu"), keras.layers.GlobalAveragePooling2D()
    end = keras.layers.Dense(2, activation="sigmoid")
    model = keras.Sequential([keras.Input((32, 32, 3)), conv, pool, end])
    explainer, labels = Explainer(model), np.array([0, 1, 0])
    # The evidence is log s - log t for the scores s of the label and t of the other.
    kernel, maps = end.get_weights()[0], conv(IMAGES).numpy()
    scores = model(IMAGES).numpy()
    slopes = (1 - scores) * np.where(labels[:, None] == [0, 1], 1, -1)
    heat = np.einsum("nhwc,nc->nhw", maps, slopes @ kernel.T).clip(0)
    heat = explainer._rows @ heat @ explainer._columns.T
    expected = heat / heat.max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(explainer.heat_maps(IMAGES, labels), expected, atol=1e-4)


def test_the_network_itself_is_left_as_it_was(trained):
    images = draw_cells(3, seed=3).images
    before, config = trained(images).numpy(), trained.get_config()
    Explainer(trained).heat_maps(images, np.zeros(6, int))
    assert (trained(images).numpy() == before).all()
    assert trained.get_config() == config


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("place", [(9, 9), (9, 50), (33, 20), (52, 52)])
def test_heat_is_where_the_cause_is_and_not_stretched(padding, place):
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((61, 61, 3))]
        + [layers.Conv2D(1, 3, strides, padding, kernel_initializer="ones") for strides in (1, 2)]
        + [layers.MaxPooling2D(padding=padding), layers.Conv2D(1, 3, 1, padding)]
        + [layers.GlobalAveragePooling2D(), end(2)]
    )
    model.set_weights([np.ones_like(values) for values in model.get_weights()])
    images = np.zeros((1, 61, 61, 3), np.float32)
    images[0, place[0], place[1]] = 1e3
    [heat_map] = Explainer(model).heat_maps(images, [1])
    warm = np.argwhere(heat_map > 0.9 * heat_map.max())
    assert np.abs(warm.mean(axis=0) - place).max() <= 3


@pytest.mark.parametrize(
    ("build", "label_count", "size"),
    [
        (small_network, 2, (32, 32)),
        (partial(small_network, label_count=3), 3, (32, 32)),
        (partial(small_network, padding="valid"), 2, (32, 32)),
        *((name, 2, (64, 64)) for name in NETWORKS),
        ("vgg", 2, (64, 80)),
        ("vgg", 3, (48, 44)),
    ],
)
def test_maps_have_the_image_s_size_and_reach_from_0_to_1(build, label_count, size):
    if isinstance(build, str):
        build = partial(build_model, build, image_size=size, label_count=label_count)
    images = RNG.random((label_count, *size, 3), np.float32)
    heat_maps = Explainer(build()).heat_maps(images, np.arange(label_count))
    assert (heat_maps.shape, heat_maps.dtype) == ((label_count, *size), np.float32)
    assert heat_maps.min() >= 0
    assert {heat_map.max() for heat_map in heat_maps} in ({1}, {0, 1})


@pytest.mark.parametrize("label_count", [2, 3])
def test_each_label_has_its_own_map(label_count):
    keras.utils.set_random_seed(3)
    explainer = Explainer(small_network(label_count=label_count))
    maps = explainer.heat_maps(np.repeat(IMAGES[:1], label_count, axis=0), np.arange(label_count))
    for one, other in itertools.combinations(maps, 2):
        assert np.abs(one - other).max() > 0.1


def test_two_softmax_outputs_are_explained_like_one_sigmoid():
    one, two = small_network(), small_network()
    two.pop()
    two.add(keras.layers.Dense(2, activation="softmax"))
    weights = one.get_weights()
    pairs = [np.concatenate([0 * values, values], axis=-1) for values in weights[-2:]]
    two.set_weights([*weights[:-2], *pairs])
    for label in ([0, 0, 0], [1, 1, 1]):
        maps = [Explainer(model).heat_maps(IMAGES, label) for model in (one, two)]
        assert np.abs(maps[0] - maps[1]).max() < 1e-4


def test_where_nothing_speaks_for_the_label_the_map_is_zero():
    model = small_network()
    model.layers[-1].set_weights([np.ones((64, 1)), np.zeros(1)])
    explainer = Explainer(model)
    assert explainer.heat_maps(IMAGES, [0, 0, 0]).max() == 0
    assert (explainer.heat_maps(IMAGES, [1, 1, 1]).max(axis=(1, 2)) == 1).all()


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([keras.layers.Flatten(), end(2)], "maps .* of more than one pixel, found none in"),
        ([keras.layers.Conv2D(4, 8), keras.layers.Flatten(), end(2)], "more than one pixel"),
        ([keras.layers.Conv2D(4, 3), keras.layers.Flatten(), keras.layers.Dense(1)], "a sigmoid"),
        ([small_network(side=8)], "found one within another"),
    ],
    ids=["no maps", "maps of one pixel", "no probabilities", "nested"],
)
def test_a_network_that_cannot_be_explained_is_told(layers, message):
    model = keras.Sequential([keras.Input((8, 8, 3)), *layers])
    with pytest.raises(UserError, match=f"Grad-CAM: expected .*{message}"):
        Explainer(model)


def test_a_map_that_another_path_leads_past_is_not_used():
    image = keras.Input((32, 32, 3))
    early = keras.layers.Conv2D(4, 3, activation="relu", name="early")(image)
    late = keras.layers.Conv2D(4, 3, activation="relu")(early)
    pooled = [keras.layers.GlobalMaxPooling2D()(maps) for maps in (early, late)]
    model = keras.Model(image, end(2)(keras.layers.Concatenate()(pooled)))
    assert Explainer(model).heat_maps(IMAGES, [0, 1, 1]).shape == (3, 32, 32)


def test_no_heat_leaves_the_image_and_heat_changes_it_without_hiding_it():
    assert (overlay(IMAGE, np.zeros((20, 30), np.float32)) == IMAGE).all()
    hot = overlay(IMAGE, np.ones((20, 30), np.float32))
    assert (hot.shape, hot.dtype) == (IMAGE.shape, np.uint8)
    assert np.corrcoef(hot.ravel(), IMAGE.ravel())[0, 1] > 0.7
    assert hot.mean() > IMAGE.mean() + 20


def test_more_heat_is_a_brighter_colour():
    heat = np.linspace(0, 1, 50, dtype=np.float32)[None]
    grey = overlay(np.zeros((1, 50, 3), np.uint8), heat)[0] @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(grey) >= 0).all()
    assert grey[-1] > 140


def test_the_file_holds_the_image_and_its_overlay_side_by_side(tmp_path):
    heat_map = RNG.random((20, 30), np.float32)
    save_overlay(tmp_path / "a" / "b.png", IMAGE, heat_map)
    [path] = (tmp_path / "a").iterdir()
    assert path.name == "b.png"
    with Image.open(path, formats=["PNG"]) as image:
        pixels = np.asarray(image)
    assert (pixels[:, :30] == IMAGE).all()
    assert (pixels[:, 30 + GAP :] == overlay(IMAGE, heat_map)).all()
    # What cannot be written is told.
    with pytest.raises(UserError, match=r"cannot write .*b\.png/c\.png"):
        save_overlay(path / "c.png", IMAGE, np.zeros((20, 30)))
