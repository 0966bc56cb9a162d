"""Tests of malaria/inference/evaluate.py."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from plain_network import PlainNetwork

from malaria.base.errors import UsageError, UserError
from malaria.data.dataset import FOLDER, LABELS, PATIENT, make_grouper
from malaria.data.listing import Listing
from malaria.inference.classifier import Classifier
from malaria.inference.evaluate import evaluate
from malaria.inference.labelled_predictions import LabelledPredictions
from malaria.inference.predict import predict
from malaria.inference.prediction import Prediction
from malaria.pictures.images import PixelFormat
from malaria.saved.metadata import Metadata
from malaria.saved.pair import Pair

METADATA = Metadata(LABELS, "Parasitized", PixelFormat((9, 7)), threshold=0.4)


@pytest.fixture
def classifier():
    """P(Uninfected) is the red of the first pixel."""
    network = PlainNetwork(lambda images: images[:, :1, 0, 0])
    return Classifier(METADATA, network, Pair.at("models", "a"))


def collect(classifier, folder, group_by=PATIENT):
    return LabelledPredictions.of_folder(classifier, folder, group_of=make_grouper(group_by))


def predictions_of(classifier, folder):
    paths = [folder / "no label.png", *sorted(folder.glob("*/*.*"))]
    return list(predict(paths, classifier))


def result_of(classifier, folder, **known):
    labelled = collect(classifier, folder, **known)
    labelled.add_all(predictions_of(classifier, folder))
    return labelled.result


def test_the_result_has_the_answers_the_true_labels_and_the_patients(classifier, folder):
    labelled = collect(classifier, folder)
    predictions = predictions_of(classifier, folder)
    labelled.add_all(predictions)
    result = labelled.result
    known = [one for one in predictions if one.error is None and one.path.parent != folder]
    assert len(known) == 8
    assert result.paths == [str(one.path) for one in known]
    assert [LABELS[label] for label in result.labels] == [one.path.parent.name for one in known]
    np.testing.assert_array_equal(result.probabilities, [one.probabilities for one in known])
    assert [LABELS[label] for label in result.predicted] == [one.label for one in known]
    assert result.groups == ["1", "1", "2", "2"] * 2
    assert (result.label_names, result.positive_label) == (LABELS, "Parasitized")
    assert result.threshold == 0.4
    assert result.model == classifier.pair.weights
    assert (labelled.left_out, labelled.unreadable) == (2, 1)
    assert labelled.result is result


def test_the_true_label_that_a_prediction_bears_is_the_one_that_counts(classifier, folder):
    labelled = collect(classifier, folder)
    labelled.add(Prediction(folder / "a.png", "Uninfected", 0.9, (0.1, 0.9)))
    labelled.add(replace(Prediction(), error="damaged", true_label="Uninfected"))
    assert (labelled.left_out, labelled.unreadable) == (2, 1)
    for label in LABELS:
        labelled.add(Prediction(None, "Uninfected", 0.9, (0.1, 0.9), true_label=label))
    assert labelled.result.labels.tolist() == [0, 1]
    assert labelled.result.groups is None


def test_the_names_of_the_folders_are_proposed_where_the_labels_are_only_assumed(
    classifier, write_cells
):
    folder = write_cells("xrays", labels=("NORMAL", "PNEUMONIA"))
    known = replace(classifier.metadata, assumed=frozenset({"labels"}))
    with pytest.raises(UserError) as caught:
        collect(replace(classifier, metadata=known), folder)
    assert str(caught.value).endswith(
        "named Parasitized, Uninfected; found NORMAL, PNEUMONIA; if these are the model's labels: "
        "--labels=NORMAL,PNEUMONIA, or in the other order"
    )
    said = replace(METADATA, details={"labels": list(LABELS)})
    with pytest.raises(UserError, match=r"found NORMAL, PNEUMONIA$"):
        collect(replace(classifier, metadata=said), folder)


def test_an_image_has_the_label_of_the_outermost_folder_if_the_model_knows_it(classifier, folder):
    labelled = collect(classifier, folder)
    assert labelled.label_of(folder / "no label.png") is None
    assert labelled.label_of(folder / "Uninfected" / "deeper" / "a.png") == "Uninfected"
    assert labelled.label_of(folder / "else" / "Uninfected" / "a.png") is None
    listed = LabelledPredictions(
        classifier, label_of=lambda path: path.stem, group_of=lambda path: None
    )
    assert listed.label_of(folder / "Uninfected.png") == "Uninfected"
    assert listed.label_of(folder / "dust.png") is None


def test_where_one_patient_is_not_known_images_are_resampled(classifier, folder):
    Image.new("RGB", (7, 9)).save(folder / "Uninfected" / "nobody.png")
    result = result_of(classifier, folder)
    assert result.groups is None
    assert result.intervals["resampled"] == "images"


def test_the_groups_are_those_that_were_asked_for(classifier, folder):
    result = result_of(classifier, folder, group_by=FOLDER)
    assert result.groups == [*["Parasitized"] * 4, *["Uninfected"] * 4]


def test_without_a_labelled_image_there_is_no_result(classifier, folder):
    labelled = collect(classifier, folder)
    labelled.add_all(predictions_of(classifier, folder)[:1])
    with pytest.raises(UserError, match="none of the images could be read and has"):
        _ = labelled.result


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "no label.png",
            "^expected a folder or a table of labelled images; found a file at .*label.png$",
        ),
        ("nowhere", "labelled images; found nothing at "),
    ],
)
def test_what_has_no_sub_folders_named_as_labels_is_refused(classifier, folder, name, message):
    with pytest.raises(UserError, match=message):
        collect(classifier, folder / name)


def test_a_pattern_of_ones_own_that_is_none_is_refused(classifier, folder):
    with pytest.raises(UsageError, match="patient_pattern: expected a regular expression: "):
        classifier.evaluate(folder, patient_pattern="(")


def test_patients_are_known_by_the_pattern_given_else_by_the_models_else_as_the_nlms(
    classifier, folder
):
    def groups_of(classifier, patient_pattern=None):
        return evaluate(classifier, folder, patient_pattern=patient_pattern).groups

    details = {"config": {"patient_pattern": r"cell_(\d+)"}}
    by_cell = replace(classifier, metadata=replace(METADATA, details=details))
    assert groups_of(classifier) == ["1", "1", "2", "2"] * 2
    assert groups_of(by_cell) == ["0", "1", "0", "1"] * 2
    assert groups_of(classifier, r"cell_(\d+)") == ["0", "1", "0", "1"] * 2
    assert groups_of(by_cell, r"^C(\d+)") == ["1", "1", "2", "2"] * 2


def test_a_folder_with_one_of_the_labels_is_enough(classifier, folder):
    shutil.rmtree(folder / "Parasitized")
    result = evaluate(classifier, folder, patient_pattern=None)
    assert result.counts == {"Parasitized": 0, "Uninfected": 4}
    assert result.values["sensitivity"] is None


def test_a_table_is_evaluated_as_the_folder_that_it_names(classifier, folder):
    paths = sorted(folder.glob("*/C*.png"))
    rows = [f"{path.relative_to(folder)};{path.parent.name}" for path in paths]
    (folder / "a.csv").write_text("\n".join(["File;Class", *rows, rows[0], "no label.png;Unsure"]))
    there, here = classifier.evaluate(folder), classifier.evaluate(folder / "a.csv")
    assert (here.values, here.groups) == (there.values, there.groups)
    (folder / "a.csv").write_text("\n".join(["File;Class;Subject", *[f"{row};p" for row in rows]]))
    assert classifier.evaluate(folder / "a.csv").groups == ["p"] * 8
    (folder / "a.csv").write_text("File;Class\na.png;Parasitized\n./a.png;Uninfected\n")
    with pytest.raises(UserError, match=r"a.png is listed under two labels"):
        classifier.evaluate(folder / "a.csv")
    (folder / "a.csv").write_text("File;Kind\na.png;Parasitized\n")
    with pytest.raises(UserError, match=r"a.csv: expected a column 'label'"):
        classifier.evaluate(folder / "a.csv")


def test_images_of_no_label_are_told_by_their_folder(classifier, folder):
    labelled = collect(classifier, folder)
    for name in ("Unsure/a.png", "Unsure/x/b.png", "c.png", "uninfected/d.png"):
        labelled.add_all([Prediction(folder / name, "Uninfected", 0.9, (0.1, 0.9))])
    assert labelled.notes == [
        "not in the metrics: Unsure, 2 images: not among the labels",
        "not in the metrics: 1 image without a label, in no folder or row that tells one",
        "not in the metrics: uninfected, 1 image: not among the labels; did you mean Uninfected?",
    ]
    assert labelled.left_out == 4


def test_what_the_guard_marks_is_told_by_label_with_the_metrics_without_it(classifier, folder):
    labelled = collect(classifier, folder)
    labelled.add_all(predictions_of(classifier, folder))
    before = labelled.notes
    assert not any("guard" in line for line in before)
    is_wrong = labelled.result.predicted != labelled.result.labels
    assert 0 < is_wrong.sum() < 8
    pairs = zip(labelled.known, is_wrong, strict=True)
    labelled.known = [replace(one, unlike="dark") if wrong else one for one, wrong in pairs]
    marked = [LABELS[label] for label in labelled.result.labels[is_wrong]]
    [line] = set(labelled.notes) - set(before)
    assert line.startswith(f"the guard marks {len(marked)} of 8 images as unlike a single cell: ")
    assert f": Parasitized {marked.count('Parasitized')} of 4, Uninfected " in line
    assert "; without them: accuracy 1.0000, " in line
    entries = labelled.to_entries()
    assert entries["unlike_by_label"] == {label: marked.count(label) for label in LABELS}
    assert (entries["unlike"], entries["without_unlike"]["accuracy"]) == (len(marked), 1.0)


def test_where_the_guard_marks_all_images_no_metrics_are_left(classifier, folder):
    labelled = collect(classifier, folder)
    labelled.add_all(predictions_of(classifier, folder))
    labelled.known = [replace(one, unlike="dark") for one in labelled.known]
    assert labelled.notes[-1].endswith("; without them: no image is left")
    assert labelled.to_entries()["without_unlike"] is None


def test_the_same_pixels_under_two_labels_are_told(classifier, folder):
    first = sorted((folder / "Parasitized").glob("*.png"))[0]
    Image.open(first).save(folder / "Uninfected" / "C9_copy.bmp")
    labelled = collect(classifier, folder)
    labelled.add_all(predictions_of(classifier, folder))
    assert labelled.notes[-1] == (
        f"2 files hold images that lie under two labels, as {first} and "
        f"{folder}/Uninfected/C9_copy.bmp: one label of each is wrong"
    )


def test_cells_of_one_field_are_one_group_and_equal_ones_under_two_labels_are_told(
    classifier, tmp_path
):
    Image.new("RGB", (40, 20), "pink").save(tmp_path / "a.png")
    Image.new("RGB", (40, 20), "red").save(tmp_path / "b.png")
    rows = [
        f"{name}.png,{left},0,9,9,{label}" for name in "ab" for left, label in enumerate(LABELS)
    ]
    (tmp_path / "t.csv").write_text("\n".join(["path,left,top,width,height,label", *rows]))
    table = Listing(tmp_path / "t.csv")
    labelled = LabelledPredictions.of_table(classifier, table, group_of=make_grouper(PATIENT))
    labelled.add_all(predict([entry.path for entry in table], classifier))
    fields = [str(tmp_path / f"{name}.png") for name in "aabb"]
    assert labelled.result.groups == fields
    assert len(labelled.contradictions) == 4
