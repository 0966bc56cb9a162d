"""Tests of malaria/evaluation/plots.py."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from malaria.base.errors import UserError
from malaria.evaluation import plots
from malaria.evaluation.result import Result

REPOSITORY = Path(__file__).parents[2]
SVG = "http://www.w3.org/2000/svg"
HISTORY = [{"epoch": epoch, "accuracy": 0.5, "val_accuracy": 0.25 * epoch} for epoch in range(1, 4)]
PICTURES = np.random.default_rng(2).integers(256, size=(3, 8, 6, 3), dtype=np.uint8)


def make_result(labels, probabilities, names, positive):
    paths = [f"{number}.png" for number in range(len(labels))]
    return Result(paths, np.array(labels), np.asarray(probabilities), tuple(names), positive, 0.5)


def draw_all(folder, kind="svg", name="Parasitized"):
    """Every figure, drawn with a label of this name; returns their paths."""
    stems = ("history", "confusion", "roc", "grid", "reliability", "agreement")
    paths = [folder / f"{stem}.{kind}" for stem in stems]
    # Of four images of the first label three are found, of two of the second both.
    first = np.array([0.9, 0.8, 0.7, 0.2, 0.3, 0.1])
    probabilities = np.stack([first, 1 - first], axis=1)
    result = make_result([0, 0, 0, 0, 1, 1], probabilities, (name, "Uninfected"), name)
    plots.plot_history(paths[0], HISTORY, "accuracy", "accuracy")
    plots.plot_confusion(paths[1], result)
    plots.plot_roc(paths[2], result)
    plots.plot_grid(paths[3], PICTURES, [f"{name} 0.900"] * 3)
    plots.plot_reliability(paths[4], result)
    pairs, known = [(0.1, 0.2), (0.3, 0.1)], {"bias": 0.05, "low": -0.2, "high": 0.3}
    plots.plot_agreement(paths[5], {"fields": (pairs, known), "patients": (pairs, known)})
    return paths


def elements(path, tag):
    return list(ElementTree.parse(path).iter(f"{{{SVG}}}{tag}"))


def texts(path):
    return ["".join(element.itertext()).strip() for element in elements(path, "text")]


def test_a_png_is_one_and_a_long_name_does_not_make_it_endless(tmp_path):
    for path in draw_all(tmp_path, "png", "x" * 200):
        with Image.open(path) as image:
            image.load()
            assert image.format == "PNG"
            assert max(image.size) < 3000


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        *[(x, x) for x in ("$x^$", r"\frac{$", "_b", "寄生", "<script>a&amp;</script>")],
        ("a\x1b\nb", r"a\x1b\nb"),
        ("x" * 200, "x" * 21 + "..."),
    ],
    ids=ascii,
)
def test_a_name_is_text_printable_cut_and_never_interpreted(tmp_path, name, shown):
    paths = draw_all(tmp_path, name=name)
    for path in paths:
        assert len(elements(path, "svg")) == 1
        assert not elements(path, "script")
    _, confusion, roc, _, reliability, _ = paths
    assert texts(confusion).count(shown) == 2
    assert texts(roc).count(shown) == 1
    assert texts(reliability).count(f"predicted probability of {shown}") == 1


def test_the_same_numbers_give_the_same_bytes(tmp_path):
    for first, again in zip(draw_all(tmp_path / "a"), draw_all(tmp_path / "b"), strict=True):
        assert first.read_bytes() == again.read_bytes()


def test_the_matrix_shows_counts_and_shares_of_each_row(tmp_path):
    _, confusion, *_ = draw_all(tmp_path)
    shown = " ".join(texts(confusion))
    for part in ("3", "75.0%", "25.0%", "0.0%", "2", "100.0%", "predicted", "true"):
        assert part in shown.split()
    # A label without cells is drawn too.
    result = make_result([1, 1, 1, 2, 2, 2], np.eye(3)[[0, 1, 1, 2, 2, 2]], "abc", "a")
    plots.plot_confusion(tmp_path / "a.svg", result)
    assert "33.3%" in " ".join(texts(tmp_path / "a.svg"))


@pytest.mark.parametrize(("labels", "curves"), [(2, ["b"]), (3, ["a", "b", "c"])])
def test_roc_shows_the_positive_label_of_two_and_each_of_three(tmp_path, labels, curves):
    names = "abc"[:labels]
    truth = np.array([0, 1, 2, 0, 1, 2]) % labels
    probabilities = np.full((6, labels), 1 / labels)
    plots.plot_roc(tmp_path / "a.svg", make_result(truth, probabilities, names, "b"))
    shown = texts(tmp_path / "a.svg")
    assert [name for name in names if name in shown] == curves
    assert "AUC 0.5000" in shown


def test_agreement_has_a_point_for_each_pair_and_a_panel_for_each_level(tmp_path):
    *_, path = draw_all(tmp_path)
    shown = " ".join(texts(path))
    assert "2 fields: bias and 95 % limits" in shown
    assert "2 patients: bias" in shown
    points = [one for one in elements(path, "g") if one.get("id", "").startswith("PathCollection")]
    assert [len(list(one.iter(f"{{{SVG}}}use"))) for one in points] == [2, 2]


def test_reliability_has_a_point_for_each_bin_with_images(tmp_path):
    probabilities = [[0.01, 0.99], [0.02, 0.98], [0.5, 0.5], [0.99, 0.01]]
    result = make_result([1, 1, 0, 0], probabilities, "ab", "a")
    plots.plot_reliability(tmp_path / "a.svg", result)
    groups = elements(tmp_path / "a.svg", "g")
    [points] = [one for one in groups if one.get("id", "").startswith("PathCollection")]
    assert [point.tag for point in points] == [f"{{{SVG}}}path"] * 3
    assert "observed share" in texts(tmp_path / "a.svg")


def test_one_epoch_is_drawn_too(tmp_path):
    plots.plot_history(tmp_path / "a.svg", HISTORY[:1], "accuracy", "accuracy")
    assert {"training (augmented)", "validation", "epoch"} <= set(texts(tmp_path / "a.svg"))


def test_a_grid_holds_every_image_with_its_title(tmp_path):
    titles = [f"cell {number}" for number in range(11)]
    plots.plot_grid(tmp_path / "a.svg", np.zeros((11, 4, 4, 3)), titles, columns=4)
    assert len(elements(tmp_path / "a.svg", "image")) == 11
    assert texts(tmp_path / "a.svg") == titles


def test_an_image_that_cannot_be_written_is_told_and_leaves_nothing(tmp_path):
    result = make_result([0, 1], np.eye(2), "ab", "a")
    (tmp_path / "a.svg").mkdir()
    with pytest.raises(UserError, match=r"cannot write .*a\.svg"):
        plots.plot_confusion(tmp_path / "a.svg", result)
    assert [path.name for path in tmp_path.iterdir()] == ["a.svg"]


def test_no_window_is_opened():
    code = "import sys, malaria.evaluation.plots; print('matplotlib.pyplot' in sys.modules)"
    command = [sys.executable, "-c", code]
    answer = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert answer.stdout == "False\n"
