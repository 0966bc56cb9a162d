"""Tests of malaria/evaluation.py and malaria/bootstrap.py.

The witnesses are scikit-learn and plain loops over images and resamples.
"""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from malaria.base.errors import UserError
from malaria.evaluation import bootstrap
from malaria.evaluation.bootstrap import (
    FIGURES,
    Figure,
    draw_weights,
    group_members,
    mcnemar,
)
from malaria.evaluation.format import describe, describe_comparison, to_json, to_report
from malaria.evaluation.result import (
    Assessment,
    check_sub_folders,
    compare,
    compare_with_first,
    measure,
    reliability,
    roc_points,
    true_label,
    worst_mistakes,
)

NAMES = ["Parasitized", "Uninfected"]
# Of four cells of label 0 three are found, of two of label 1 one.
LABELS = np.array([0, 0, 0, 0, 1, 1])
PROBABILITIES = np.array([[0.9, 0.1], [0.8, 0.2], [0.5, 0.5], [0.1, 0.9], [0.4, 0.6], [0.7, 0.3]])
PATHS = [f"cells/{number}.png" for number in range(6)]
UNDEFINED = Figure(None, None, None)


def draw(seed, count=60, label_count=2, patients=8, decimals=2):
    """Random (labels, probabilities, groups), with every label and with ties."""
    random = np.random.default_rng(seed)
    labels = np.array([*range(label_count), *random.integers(label_count, size=count)])
    weights = random.random((len(labels), label_count)) + 0.5 * np.eye(label_count)[labels]
    probabilities = np.round(weights / weights.sum(axis=1, keepdims=True), decimals)
    probabilities[:, 0] = 1 - probabilities[:, 1:].sum(axis=1)
    groups = [f"C{number}" for number in random.integers(patients, size=len(labels))]
    return labels, probabilities, groups


def naive_figures(labels, probabilities, positive, threshold):
    """The figures of two labels by scikit-learn and a loop, in the order of FIGURES."""
    truth, scores = labels == positive, probabilities[:, positive]
    called = scores >= threshold
    return [
        sklearn_metrics.accuracy_score(truth, called),
        sklearn_metrics.recall_score(truth, called),
        sklearn_metrics.recall_score(~truth, ~called),
        sklearn_metrics.precision_score(truth, called),
        sklearn_metrics.f1_score(truth, called),
        sklearn_metrics.roc_auc_score(truth, scores),
        sklearn_metrics.brier_score_loss(truth, scores),
        naive_calibration_error(truth, scores),
    ]


def naive_calibration_error(truth, scores):
    bins = [[] for _ in range(15)]
    for is_true, score in zip(truth, scores, strict=True):
        place = next(place for place in range(15) if score <= (place + 1) / 15 or place == 14)
        bins[place].append((score, is_true))
    gaps = [abs(sum(score - is_true for score, is_true in members)) for members in bins]
    return sum(gaps) / len(scores)


def values(figures):
    return [figures[name].value for name in FIGURES]


@pytest.mark.parametrize("threshold", [0.5, 0.4])
@pytest.mark.parametrize("positive", [0, 1])
@pytest.mark.parametrize("seed", range(4))
def test_the_figures_are_those_of_scikit_learn(seed, positive, threshold):
    labels, probabilities, _ = draw(seed)
    figures = measure(labels, probabilities, positive=positive, threshold=threshold, resamples=5)
    expected = naive_figures(labels, probabilities, positive, threshold)
    assert tuple(figures) == FIGURES
    assert values(figures) == pytest.approx(expected, abs=1e-12)


def test_the_figures_of_six_cells_counted_by_hand():
    figures = measure(LABELS, PROBABILITIES, positive=0, threshold=0.5)
    assert figures["accuracy"].value == 4 / 6
    assert figures["sensitivity"].value == 3 / 4
    assert figures["specificity"].value == 1 / 2
    assert figures["precision"].value == 3 / 4
    assert figures["f1"].value == 3 / 4
    assert figures["auc"].value == (2 + 2 + 1 + 0) / 8
    assert figures["brier"].value == pytest.approx((0.01 + 0.04 + 0.25 + 0.81 + 0.16 + 0.49) / 6)


def test_the_order_of_the_labels_changes_nothing():
    labels, probabilities, groups = draw(0, decimals=9)
    settings = {"threshold": 0.5, "groups": groups, "resamples": 50}
    figures = measure(labels, probabilities, positive=0, **settings)
    turned = measure(1 - labels, probabilities[:, ::-1], positive=1, **settings)
    for name in FIGURES:
        assert figures[name] == pytest.approx(turned[name], abs=1e-12)


def test_the_order_of_the_images_changes_nothing_where_patients_are_resampled():
    labels, probabilities, groups = draw(0)
    order = np.random.default_rng(0).permutation(len(labels))
    settings = {"positive": 0, "threshold": 0.5, "resamples": 50}
    figures = measure(labels, probabilities, groups=groups, **settings)
    shuffled = [groups[place] for place in order]
    again = measure(labels[order], probabilities[order], groups=shuffled, **settings)
    for name in FIGURES:
        assert figures[name] == pytest.approx(again[name], abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_three_labels_have_the_figures_that_have_a_meaning(seed):
    labels, probabilities, groups = draw(seed, label_count=3)
    figures = measure(labels, probabilities, positive=0, threshold=0.1, groups=groups, resamples=99)
    best = probabilities.argmax(axis=1)
    areas = [
        sklearn_metrics.roc_auc_score(labels == label, probabilities[:, label])
        for label in range(3)
    ]
    squares = [
        sum((row[label] - (label == true)) ** 2 for label in range(3))
        for row, true in zip(probabilities, labels, strict=True)
    ]
    expected = {
        "accuracy": np.mean(best == labels),
        "auc": np.mean(areas),
        "brier": np.mean(squares),
        "calibration_error": naive_calibration_error(best == labels, probabilities.max(axis=1)),
    }
    for name, figure in figures.items():
        if name in expected:
            assert figure.value == pytest.approx(expected[name])
            assert figure.low < figure.high
        else:
            assert figure == UNDEFINED


@pytest.mark.parametrize("by_patient", [True, False])
@pytest.mark.parametrize("seed", range(2))
def test_the_intervals_are_the_percentiles_of_a_plain_loop_over_resamples(seed, by_patient):
    labels, probabilities, groups = draw(seed)
    groups = groups if by_patient else None
    settings = {"positive": 0, "threshold": 0.5}
    figures = measure(labels, probabilities, groups=groups, resamples=60, seed=seed, **settings)
    drawn = []
    for weights in np.concatenate([*draw_weights(group_members(groups, len(labels)), 60, seed)]):
        images = [image for image, times in enumerate(weights) for _ in range(int(times))]
        drawn.append(naive_figures(labels[images], probabilities[images], **settings))
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    assert [figure.low for figure in figures.values()] == pytest.approx(low.tolist(), abs=1e-12)
    assert [figure.high for figure in figures.values()] == pytest.approx(high.tolist(), abs=1e-12)


@pytest.mark.parametrize("by_patient", [True, False])
def test_the_interval_of_a_difference_is_of_one_minus_other_on_the_same_resamples(by_patient):
    labels, one, groups = draw(0)
    other = draw(1)[1]
    groups = groups if by_patient else None
    resampling = {"groups": groups, "resamples": 40, "seed": 3}
    thresholds = (0.5, 0.4)
    result = compare(labels, one, other, positive=0, thresholds=thresholds, **resampling)
    drawn = []
    for weights in np.concatenate([*draw_weights(group_members(groups, len(labels)), 40, 3)]):
        images = np.repeat(np.arange(len(labels)), weights.astype(int))
        pair = [
            naive_figures(labels[images], probabilities[images], 0, threshold)
            for probabilities, threshold in zip((one, other), thresholds, strict=True)
        ]
        drawn.append(np.subtract(*pair))
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    whole = [
        values(measure(labels, probabilities, positive=0, threshold=threshold, resamples=1))
        for probabilities, threshold in zip((one, other), thresholds, strict=True)
    ]
    for place, figure in enumerate(result.differences.values()):
        expected = (whole[0][place] - whole[1][place], low[place], high[place])
        assert figure == pytest.approx(expected, abs=1e-12)


def test_a_resample_holds_as_many_patients_as_there_are_and_all_images_of_each():
    members = group_members(["b", "a", "b", "c", "a", "b"], 6)
    assert members.tolist() == [1, 0, 1, 2, 0, 1]
    weights = np.concatenate([*draw_weights(members, 4000, seed=0)])
    assert weights.shape == (4000, 6)
    for first, second in [(0, 2), (0, 5), (1, 4)]:
        np.testing.assert_array_equal(weights[:, first], weights[:, second])
    patients = weights[:, [1, 0, 3]]
    assert set(patients.sum(axis=1)) == {3}
    # Each of 27 draws is as likely: none of a patient in 8, all three of it in 1.
    assert np.mean(patients == 0, axis=0) == pytest.approx([8 / 27] * 3, abs=0.03)
    assert np.mean(patients == 3, axis=0) == pytest.approx([1 / 27] * 3, abs=0.015)


@pytest.mark.parametrize("groups", [None, ["a"] * 6, ["a", "b", "c", "a", "b", None]])
def test_without_two_known_patients_single_images_are_drawn(groups):
    assert group_members(groups, 6).tolist() == [0, 1, 2, 3, 4, 5]
    settings = {"positive": 0, "threshold": 0.5, "resamples": 100}
    assert measure(LABELS, PROBABILITIES, groups=groups, **settings) == measure(
        LABELS, PROBABILITIES, groups=list("abcdef"), **settings
    )


def test_a_seed_gives_the_same_intervals_and_another_one_others():
    labels, probabilities, groups = draw(0)
    settings = {"positive": 0, "threshold": 0.5, "groups": groups, "resamples": 100}
    first, second, third = (
        measure(labels, probabilities, seed=seed, **settings) for seed in (1, 1, 2)
    )
    assert first == second
    assert values(first) == values(third)
    assert first["auc"] != third["auc"]


def test_the_resamples_are_the_same_however_many_are_held_at_a_time(monkeypatch):
    members = np.array([0, 1, 1, 2])
    whole = np.concatenate([*draw_weights(members, 10, seed=0)])
    monkeypatch.setattr(bootstrap, "WEIGHTS_AT_ONCE", 12)
    parts = [*draw_weights(members, 10, seed=0)]
    assert [len(part) for part in parts] == [3, 3, 3, 1]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_where_patients_differ_their_interval_is_wider_than_that_of_single_images():
    random = np.random.default_rng(0)
    patients = np.repeat(np.arange(20), 50)
    # Of some patients nearly all cells are found, of others half.
    found = random.random(1000) < np.linspace(0.5, 1, 20)[patients]
    labels = random.integers(2, size=1000)
    second = np.where(found, labels, 1 - labels) * 0.8 + 0.1
    probabilities = np.stack([1 - second, second], axis=1)
    widths = []
    for groups in ([f"C{patient}" for patient in patients], None):
        figures = measure(labels, probabilities, positive=0, threshold=0.5, groups=groups)
        assert figures["accuracy"].value == np.mean(found)
        widths.append(figures["accuracy"].high - figures["accuracy"].low)
    # What theory expects: the spread of 20 shares, and that of 1000 single images.
    shares = [found[patients == patient].mean() for patient in range(20)]
    share = np.mean(found)
    expected = [2 * 1.96 * np.std(shares) / 20**0.5, 2 * 1.96 * (share * (1 - share) / 1000) ** 0.5]
    assert widths == pytest.approx(expected, rel=0.15)
    assert widths[0] > 2 * widths[1]


def test_with_one_label_only_the_figures_of_the_other_are_none():
    figures = measure(LABELS[:4], PROBABILITIES[:4], positive=0, threshold=0.5)
    undefined = {name for name, figure in figures.items() if figure == UNDEFINED}
    assert undefined == {"specificity", "auc"}
    assert figures["sensitivity"].value == 3 / 4
    assert figures["precision"] == Figure(1, 1, 1)


def test_where_nothing_is_called_positive_the_precision_is_none():
    figures = measure(LABELS, PROBABILITIES, positive=0, threshold=0.95)
    assert figures["precision"] == UNDEFINED
    assert figures["f1"].value == 0


def test_a_figure_that_most_resamples_leave_undefined_has_no_interval():
    # All of three labels are in 6 of 27 resamples of three images.
    figures = measure(np.arange(3), np.eye(3), positive=0, threshold=0.5)
    assert figures["auc"] == Figure(1, None, None)
    assert figures["accuracy"] == Figure(1, 1, 1)


def test_resamples_without_a_label_are_left_out_of_an_interval():
    # The only image of label 1 is in 1 - (3/4)^4 = 68 % of the resamples.
    labels, second = np.array([0, 0, 0, 1]), np.array([0.1, 0.2, 0.3, 0.9])
    figures = measure(labels, np.stack([1 - second, second], axis=1), positive=1, threshold=0.5)
    assert figures["auc"] == Figure(1, 1, 1)
    assert figures["sensitivity"] == Figure(1, 1, 1)


def test_an_evaluation_needs_an_image():
    with pytest.raises(UserError, match="nothing to evaluate: no image could be read"):
        measure(np.array([], int), np.ones((0, 2)), positive=0, threshold=0.5)


def test_a_model_against_itself_differs_in_nothing():
    result = compare(LABELS, PROBABILITIES, PROBABILITIES, positive=0, thresholds=(0.5, 0.5))
    assert set(result.differences.values()) == {Figure(0, 0, 0)}
    assert (result.only_one, result.only_other, result.p_value) == (0, 0, 1)


def test_the_images_that_only_one_model_has_right_are_counted_for_each():
    # At 0.95 all are called Uninfected: right in the two of label 1, wrong in the others.
    result = compare(LABELS, PROBABILITIES, PROBABILITIES, positive=0, thresholds=(0.5, 0.95))
    assert (result.only_one, result.only_other) == (3, 1)
    assert result.p_value == mcnemar(3, 1)
    assert result.differences["precision"] == UNDEFINED


@pytest.mark.parametrize(("only_one", "only_other"), [(3, 1), (0, 5), (10, 20), (7, 7), (0, 0)])
def test_mcnemars_p_is_the_share_of_coin_throws_at_least_as_uneven(only_one, only_other):
    count = only_one + only_other
    uneven = abs(only_one - only_other)
    ways = sum(math.comb(count, k) for k in range(count + 1) if abs(2 * k - count) >= uneven)
    assert mcnemar(only_one, only_other) == pytest.approx(ways / 2**count)


def test_reliability_has_the_means_of_each_bin_with_images():
    assert reliability(LABELS, PROBABILITIES, 0, bins=2) == [
        {"predicted": pytest.approx((0.5 + 0.1 + 0.4) / 3), "observed": 2 / 3, "count": 3},
        {"predicted": pytest.approx((0.9 + 0.8 + 0.7) / 3), "observed": 2 / 3, "count": 3},
    ]
    certain = np.array([[0.0, 1.0], [1.0, 0.0]])
    assert reliability(np.array([1, 1]), certain, 1) == [
        {"predicted": 0, "observed": 1, "count": 1},
        {"predicted": 1, "observed": 1, "count": 1},
    ]


@pytest.mark.parametrize("positive", [0, 1])
def test_the_calibration_error_is_the_mean_gap_of_the_reliability_curve(positive):
    labels, probabilities, _ = draw(0, count=300)
    bins = reliability(labels, probabilities.astype(np.float32), positive)
    gaps = [point["count"] * abs(point["predicted"] - point["observed"]) for point in bins]
    figures = measure(
        *(labels, probabilities.astype(np.float32)), positive=positive, threshold=0.5, resamples=1
    )
    assert figures["calibration_error"].value == pytest.approx(sum(gaps) / len(labels), abs=1e-6)


@pytest.mark.parametrize("most", [2, 20, 200])
def test_near_every_point_that_a_thinned_roc_curve_lacks_there_is_one_that_it_has(most):
    labels, probabilities, _ = draw(0, count=3000, decimals=6)
    whole = roc_points(labels, probabilities, 0, most=10_000)
    thin = roc_points(labels, probabilities, 0, most=most)
    assert len(thin["false"]) <= most < len(whole["false"])
    for rates in thin.values():
        assert (rates[0], rates[-1]) == (0, 1)
        assert rates == sorted(rates)
    for false, true in zip(whole["false"], whole["true"], strict=True):
        along, up = np.subtract(false, thin["false"]), np.subtract(true, thin["true"])
        assert np.min(np.abs(along) + np.abs(up)) <= 2 / (most - 1) + 1e-12


def test_a_short_roc_curve_stays_as_it_is():
    points = roc_points(np.array([0, 0, 1, 1]), np.array([[0.9, 0.1], [0.4, 0.6]] * 2), 0)
    assert points == {"false": [0, 0.5, 1], "true": [0, 0.5, 1]}


def test_without_both_labels_there_is_no_roc_curve():
    assert roc_points(LABELS[:4], PROBABILITIES[:4], 0) == {"false": [], "true": []}


def test_the_worst_mistakes_come_surest_first():
    predicted = np.array([0, 0, 0, 1, 1, 0])
    mistakes = worst_mistakes(PATHS, LABELS, PROBABILITIES, predicted, NAMES)
    assert mistakes == [
        {
            "path": "cells/3.png",
            "true": "Parasitized",
            "predicted": "Uninfected",
            "probability": 0.9,
        },
        {
            "path": "cells/5.png",
            "true": "Uninfected",
            "predicted": "Parasitized",
            "probability": 0.7,
        },
    ]
    assert worst_mistakes(PATHS, LABELS, PROBABILITIES, predicted, NAMES, most=1) == mistakes[:1]
    assert worst_mistakes(PATHS, LABELS, PROBABILITIES, LABELS, NAMES) == []


def assess(probabilities=PROBABILITIES, **changes):
    settings = {"names": NAMES, "positive": 0, "threshold": 0.5, "resamples": 50} | changes
    labels = settings.pop("labels", LABELS)
    paths = settings.pop("paths", PATHS)
    return Assessment(paths, labels, probabilities, **settings)


def lines_of(text):
    return [line.split() for line in text.splitlines()]


def test_the_text_has_the_figures_the_report_the_matrix_and_the_mistakes():
    assessment = assess(groups=list("aabbcc"))
    lines = lines_of(describe(assessment))
    low, high = assessment.figures["accuracy"][1:]
    assert ["accuracy", "0.6667", f"[{low:.4f},", f"{high:.4f}]"] in lines
    assert ["Parasitized", "3", "1"] in lines
    assert ["Uninfected", "1", "1"] in lines
    assert ["Parasitized", "0.750", "0.750", "0.750", "4"] in lines
    assert ["0.9000", "Uninfected,", "truly", "Parasitized:", "cells/3.png"] in lines
    text = describe(assessment)
    assert "6 images: 4 Parasitized, 2 Uninfected; positive is Parasitized" in text
    assert "row = true label, column = predicted label" in text


@pytest.mark.parametrize(
    ("groups", "resampled"),
    [
        (list("aabbcc"), "50 resamples of 3 patients, seed 0"),
        (None, "50 resamples of 6 images, seed 0; too narrow if"),
    ],
)
def test_the_text_says_whether_patients_or_images_were_resampled(groups, resampled):
    assert resampled in describe(assess(groups=groups))


def test_undefined_figures_are_dashes_and_no_mistakes_are_said_to_be_none():
    text = describe(assess(np.eye(3), labels=np.arange(3), paths=PATHS[:3], names=["a", "b", "c"]))
    assert ["sensitivity", "-", "-"] in lines_of(text)
    assert ["AUC", "1.0000", "-"] in lines_of(text)
    assert "predicted is the likeliest label" in text
    assert text.endswith("no mistakes")


def test_strangers_names_cannot_move_the_cursor():
    names = ["a\x1b[2J", "b\r"]
    one = assess(names=names, paths=["c\x1b[2J.png"] * 6)
    both = {"m\x1b[2J": one, "n\r": one}
    text = describe_comparison(both, compare_with_first(both), dict.fromkeys(both, 1.0))
    for shown in (describe(one), text):
        assert "\\x1b[2J" in shown
        assert all(letter.isprintable() for letter in shown.replace("\n", ""))


def test_models_stand_side_by_side_and_each_is_compared_with_the_first():
    both = {"first": assess(), "second": assess(threshold=0.95)}
    comparisons = compare_with_first(both)
    assert list(comparisons) == ["second"]
    text = describe_comparison(both, comparisons, {"first": 12.34, "second": 5})
    table, intervals, difference = text.split("\n\n")
    lines = lines_of(table)
    assert lines[0] == ["figure", "first", "second"]
    assert [line[0] for line in lines[1:3]] == ["accuracy", "sensitivity"]
    assert (lines[2][1], lines[2][4]) == ("0.7500", "0.0000")
    assert lines[-1] == ["images", "per", "second", "12.3", "5.0"]
    assert "50 resamples of 6 images" in intervals
    assert difference.startswith("second minus first")
    assert lines_of(difference)[2][:2] == ["accuracy", "-0.3333"]
    assert "right in second only: 1 images; in first only: 3; McNemar's exact p = 0.62" in text


@pytest.mark.parametrize(
    "changes", [{"names": NAMES[::-1]}, {"positive": 1}, {"paths": [*PATHS[:5], "other.png"]}]
)
def test_models_of_other_images_or_labels_are_not_compared(changes):
    with pytest.raises(UserError, match="second cannot be compared with first: expected the same"):
        compare_with_first({"first": assess(), "second": assess(**changes)})


@pytest.mark.parametrize("count", [4, 6])
def test_the_json_holds_plain_values_and_no_nan(count):
    assessment = assess(
        *(PROBABILITIES[:count].astype(np.float32),), labels=LABELS[:count], paths=PATHS[:count]
    )
    written = to_json(assessment, unreadable=3)
    assert json.loads(json.dumps(written, allow_nan=False)) == written
    assert (written["images"], written["unreadable"]) == (count, 3)
    assert written["images_by_label"] == {"Parasitized": 4, "Uninfected": count - 4}
    assert (written["positive"], written["threshold"]) == ("Parasitized", 0.5)
    assert written["confusion"]["counts"][0] == [3, 1]
    assert written["intervals"] == {
        "method": "percentile bootstrap",
        "level": 0.95,
        "resampled": "images",
        "count": count,
        "resamples": 50,
        "seed": 0,
    }
    assert set(written["figures"]) == set(FIGURES)
    assert set(written["figures"]["auc"]) == {"value", "low", "high"}
    assert (written["figures"]["auc"]["value"] is None) == (count == 4)


def test_the_report_gets_what_its_page_shows():
    assessment = assess()
    report = to_report(assessment)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert report["metrics"][5] == {"name": "AUC", **assessment.figures["auc"]._asdict()}
    assert report["confusion"] == [[3, 1], [1, 1]]
    assert report["roc"] == roc_points(LABELS, PROBABILITIES, 0)
    assert report["reliability"] == reliability(LABELS, PROBABILITIES, 0)
    assert "macro avg" in report["report"]


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("cells/Uninfected/a.png", 1),
        ("cells/Parasitized/slide/Uninfected/a.png", 0),
        ("cells/other/Uninfected/a.png", None),
        ("cells/Uninfected.png", None),
        ("cells/Uninfected", None),
    ],
)
def test_the_true_label_is_the_first_folder_on_the_way_to_the_image(path, label):
    assert true_label(Path(path), Path("cells"), NAMES) == label
    assert true_label(f"/data/{path}", "/data/cells/", NAMES) == label


@pytest.mark.parametrize("folders", [["Uninfected"], ["Parasitized", "Uninfected", "other"]])
def test_one_sub_folder_that_is_a_label_is_enough(tmp_path, folders):
    for folder in folders:
        (tmp_path / folder).mkdir()
    check_sub_folders(tmp_path, NAMES)


@pytest.mark.parametrize(
    ("folders", "found"), [([], "found none"), (["y\n", "x"], r"found x, y\\n")]
)
def test_a_folder_without_a_label_is_refused_with_what_was_found(tmp_path, folders, found):
    (tmp_path / "Parasitized").touch()
    if folders:
        (tmp_path / "Parasitized").unlink()
    for folder in folders:
        (tmp_path / folder).mkdir()
    with pytest.raises(UserError, match=f"named Parasitized, Uninfected; {found}$"):
        check_sub_folders(tmp_path, NAMES)
