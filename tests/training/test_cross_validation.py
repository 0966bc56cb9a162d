"""Cross-validation: no patient is judged by a network that saw it, and nothing is done twice."""

import json
import shutil

import numpy as np
import pytest
from learning import details_of, rows_of, settings

from malaria.base.errors import UsageError, UserError
from malaria.data.dataset import LABELS, scan_folder
from malaria.data.splits import fold_samples
from malaria.training import cross_validation as folds
from malaria.training.cross_validation import cross_validate

COUNT = 2


@pytest.fixture(scope="module")
def seen():
    """The patients on the two sides of each fold of `finished`."""
    return []


@pytest.fixture(scope="module")
def finished(cells, seen, tmp_path_factory):
    real = folds.build_and_fit

    def fit(config, device, images, *arguments, **options):
        sides = (images.chosen(side) for side in (images.training, images.validation))
        seen.append([{one.patient for one in side} for side in sides])
        return real(config, device, images, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folds, "build_and_fit", fit)
        return cross_validate(settings(cells, tmp_path_factory.mktemp("run")), COUNT)


def samples_of(cells):
    return scan_folder(cells, LABELS, r"^C(\d+)")


def test_every_image_is_judged_once(cells, finished):
    rows = rows_of(finished.folder / "out_of_fold.csv")
    assert [row["path"] for row in rows] == [str(sample.path) for sample in samples_of(cells)]
    sums = [sum(float(row[f"probability of {name}"]) for name in LABELS) for row in rows]
    assert sums == pytest.approx([1] * len(rows), abs=1e-5)


def test_no_patient_is_judged_by_a_network_that_saw_it(cells, finished, seen):
    every = sorted({sample.patient for sample in samples_of(cells)})
    judged = []
    for number in range(1, COUNT + 1):
        kept = details_of(finished.folder / f"fold{number}.h5")
        judged += kept["split"]["validation_patients"]
    assert sorted(judged) == every
    assert len(seen) == COUNT
    for training, validation in seen:
        assert not training & validation
        assert sorted(training | validation) == every


def test_every_file_is_there_and_nothing_unfinished(finished):
    names, ends = {path.name for path in finished.folder.iterdir()}, ("h5", "json", "tflite", "npy")
    assert names == {f"fold{number}.{end}" for number in range(1, COUNT + 1) for end in ends} | {
        *("folds.csv", "out_of_fold.csv", "metrics.json", "evaluation.txt", "images.txt"),
        *("label_errors.csv", "label_errors.html"),
        *("roc.svg", "reliability.svg", "confusion_matrix.svg"),
    }


def test_the_mean_and_the_deviation_are_of_the_folds(cells, finished):
    rows = rows_of(finished.folder / "folds.csv")
    assert [row["fold"] for row in rows] == ["1", "2", "mean", "deviation"]
    for name in ("accuracy", "sensitivity", "specificity", "auc"):
        values = [float(row[name]) for row in rows]
        assert values[2] == pytest.approx(np.mean(values[:2]))
        assert values[3] == pytest.approx(np.std(values[:2], ddof=1))
    by_fold = json.loads((finished.folder / "metrics.json").read_text())["by_fold"]
    assert by_fold["auc"]["mean"] == pytest.approx(float(rows[2]["auc"]))
    assert "mean" in finished.text
    assert "resamples of 6 patients" in finished.text


def test_what_is_there_is_not_overwritten_nor_nothing_resumed(cells, finished, tmp_path):
    with pytest.raises(UserError, match="go on with --resume, or delete it"):
        cross_validate(settings(cells, finished.folder.parent.parent), COUNT)
    with pytest.raises(UserError, match="nothing to resume"):
        cross_validate(settings(cells, tmp_path), COUNT, resume=True)


def test_a_resumed_run_repeats_no_finished_fold_and_ends_alike(
    cells, finished, tmp_path, monkeypatch
):
    config = settings(cells, tmp_path)
    real, begun = folds.build_and_fit, []

    def fit(*arguments, **options):
        begun.append(arguments[3].path.parent.name)
        if begun == ["fold1", "fold2"]:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(folds, "build_and_fit", fit)
    with pytest.raises(KeyboardInterrupt):
        cross_validate(config, COUNT)
    resumed = cross_validate(config, COUNT, resume=True)
    assert begun == ["fold1", "fold2", "fold2"]
    for name in (f"fold{number}.npy" for number in range(1, COUNT + 1)):
        ours, others = (np.load(one.folder / name) for one in (resumed, finished))
        np.testing.assert_allclose(ours, others, rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"threshold": "youden"}, "expected threshold: a number; received youden"),
        ({"keep": "best"}, "expected keep: last and early_stopping: null"),
        ({"early_stopping": 2}, "expected keep: last and early_stopping: null"),
    ],
)
def test_what_would_be_chosen_on_what_is_reported_is_refused(cells, tmp_path, setting, message):
    with pytest.raises(UsageError, match=message):
        cross_validate(settings(cells, tmp_path, **setting), COUNT)
    assert not (tmp_path / "models").exists()


def test_excluded_images_are_judged_but_not_learnt_from_and_others_are_another_run(
    cells, tmp_path, capsys
):
    first, second, *_ = (sample.path.name for sample in samples_of(cells))
    listing = tmp_path / "a.csv"
    listing.write_text(f"path\nParasitized/{first}\n")
    config = settings(cells, tmp_path, exclude=str(listing))
    result = cross_validate(config, 2)
    assert len(rows_of(result.folder / "out_of_fold.csv")) == 24
    text = capsys.readouterr().err
    assert "excluded: 1 of 1 files" in text
    trained = [int(line.split()[1]) for line in text.splitlines() if line.startswith("training:")]
    assert sum(trained) == 24 - 1
    listing.write_text(f"path\nParasitized/{second}\n")
    with pytest.raises(UserError, match=r"or those excluded, have changed since .*: delete"):
        cross_validate(config, 2, resume=True)


def test_parts_by_patient_share_none_and_each_label_is_spread(cells):
    samples = samples_of(cells)
    parts = fold_samples(samples, by="patient", count=3, seed=1)
    assert sorted(np.concatenate([validation for _, validation in parts])) == list(range(24))
    for training, validation in parts:
        sides = [{samples[index].patient for index in side} for side in (training, validation)]
        assert not sides[0] & sides[1]
        assert len(training) + len(validation) == 24
        labels = [samples[index].label for index in validation]
        assert labels.count(0) == labels.count(1)
    by_image = fold_samples(samples, by="image", count=4, seed=1)
    assert [len(validation) for _, validation in by_image] == [6] * 4


def test_the_same_seed_gives_the_same_parts(cells):
    def parts(seed):
        found = fold_samples(samples_of(cells), by="patient", count=3, seed=seed)
        return [validation.tolist() for _, validation in found]

    assert parts(1) == parts(1)
    assert len({str(parts(seed)) for seed in range(5)}) > 1


@pytest.mark.parametrize("content", [None, b"torn", "other shape"])
def test_damaged_answers_of_a_part_are_told(cells, finished, tmp_path, content):
    shutil.copytree(finished.folder.parent, tmp_path / "models")
    answers = tmp_path / "models" / finished.folder.name / "fold1.npy"
    if content is None:
        answers.unlink()
    elif content == b"torn":
        answers.write_bytes(answers.read_bytes()[:100])
    else:
        np.save(answers, np.zeros((1, 2), np.float32))
    with pytest.raises(UserError, match=r"fold1\.npy"):
        cross_validate(settings(cells, tmp_path), COUNT, resume=True)


@pytest.mark.parametrize(
    ("by", "count", "message"),
    [
        ("patient", 7, "at least 7 patients; received 6"),
        ("image", 13, "at least 13 images of each label; received 12"),
    ],
)
def test_more_parts_than_there_are_patients_are_refused(cells, by, count, message):
    with pytest.raises(UserError, match=message):
        fold_samples(samples_of(cells), by=by, count=count, seed=1)
