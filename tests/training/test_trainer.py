"""A training run: what it leaves, how it is interrupted, and that it learns."""

import csv
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest
from learning import pipeline_of, pixels_of

from malaria.base.errors import UsageError, UserError
from malaria.base.files import sha256_of
from malaria.base.machine import has_bfloat16
from malaria.data.drawn_cells import write_cells
from malaria.evaluation.format import describe
from malaria.model import build_model
from malaria.networks.backend import keras
from malaria.networks.load_model import load_model
from malaria.saved.metadata import read_metadata
from malaria.saved.pair import find_pair, read_architecture
from malaria.settings.config import Augmentation, Config
from malaria.training import assembly, trainer
from malaria.training.assembly import load_images, split
from malaria.training.checkpoint import Progress
from malaria.training.dry_run import dry_run
from malaria.training.loop import (
    compile_model,
    current_learning_rate,
    defer_interrupts,
    run_epochs,
)
from malaria.training.optimizer import make_optimizer
from malaria.training.step import Learner
from malaria.training.trainer import train

TOP = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn") / "cells"
    write_cells(folder, 24, seed=3, patients=6)
    (folder / "Parasitized" / "C9_broken.png").write_bytes(b"no image")
    (folder / "Parasitized" / "Thumbs.db").write_bytes(b"not for us")
    return folder


def settings(cells, folder, **changes):
    known = {
        "train_images": str(cells),
        "output_models": str(folder / "models"),
        "model": "tiny",
        "image_size": (48, 48),
        "epochs": 2,
        "batch_size": 8,
        "augmentation": {},
        "plot_training_data": False,
        "guard": False,
    }
    return Config(**known | changes)


def folder_of(result):
    """The folder of metrics, tables and plots beside the saved pair."""
    return result.model.with_suffix("")


@pytest.fixture(scope="module")
def finished(cells, tmp_path_factory):
    """One whole run, with everything that can be asked of it."""
    folder = tmp_path_factory.mktemp("finished")
    everything = {"plot_training_data": True, "tensorboard": True, "guard": True, "model": "vgg"}
    config = settings(cells, folder, cache="disk", **everything)
    return config, train(config)


def test_the_pair_is_named_after_time_accuracy_and_loss(finished):
    _, result = finished
    name = result.model.stem
    assert re.fullmatch(r"model_\d{8}T\d{6}\.\d{3}Z_0\.\d{4}_\d\.\d{4}", name)
    assert name.endswith(f"_{result.values['accuracy']:.4f}_{result.values['cross_entropy']:.4f}")
    assert folder_of(result).name == name


def test_the_figures_are_those_of_the_saved_weights_on_unchanged_images(finished):
    config, result = finished
    model = load_model(find_pair(result.model), read_architecture(find_pair(result.model)))
    data = split(config, load_images(config))
    images = data.pixels.read(data.validation).astype(np.float32) / 255
    second = model.predict(images, verbose=0)[:, 0]
    labels = data.labels[data.validation]
    assert np.mean((second > 0.5) == labels) == pytest.approx(result.values["accuracy"])
    truth = np.where(labels == 1, second, 1 - second)
    assert -np.log(truth).mean() == pytest.approx(result.values["cross_entropy"], abs=1e-4)


@pytest.mark.skipif(not has_bfloat16(), reason="this processor has no units for bfloat16")
def test_what_was_trained_in_bfloat16_is_judged_and_saved_in_float32(cells, tmp_path):
    result = train(settings(cells, tmp_path, mixed_precision=True))
    model = load_model(find_pair(result.model), read_architecture(find_pair(result.model)))
    config = settings(cells, tmp_path)
    data = split(config, load_images(config))
    images = data.pixels.read(data.validation).astype(np.float32) / 255
    with open(folder_of(result) / "validation.csv", newline="") as file:
        told = [float(row["probability of Uninfected"]) for row in csv.DictReader(file)]
    np.testing.assert_allclose(model.predict(images, verbose=0)[:, 0], told, atol=1e-5)
    layers = json.loads(result.model.with_suffix(".json").read_text())["config"]["layers"]
    assert "bfloat16" not in json.dumps(layers)


def test_the_metadata_says_all_that_classifying_needs(finished):
    config, result = finished
    architecture = read_architecture(find_pair(result.model))
    metadata = read_metadata(find_pair(result.model), architecture)
    assert metadata.labels == config.labels
    assert metadata.positive_label == "Parasitized"
    assert metadata.pixels.size == (48, 48)
    assert (metadata.pixels.colour, metadata.pixels.resampling) == ("RGB", "bilinear")
    details = metadata.details
    assert details["weights_sha256"] == sha256_of(result.model)
    assert details["config"]["random_state"] == 42
    assert details["split"]["by"] == "patient"
    assert details["validation"]["count"] == len(result.labels)
    assert set(details["versions"]) >= {"tensorflow", "keras", "numpy", "python"}


def test_keras_itself_reads_the_architecture(finished):
    _, result = finished
    model = keras.models.model_from_json(result.model.with_suffix(".json").read_text())
    model.load_weights(result.model)
    assert model.input_shape == (None, 48, 48, 3)


def test_no_patient_is_on_both_sides(finished):
    _, result = finished
    details = json.loads(result.model.with_suffix(".json").read_text())["malaria"]
    with open(folder_of(result) / "validation.csv", newline="") as file:
        shown = {row["patient"] for row in csv.DictReader(file)}
    assert shown == set(details["split"]["validation_patients"])
    # A share of .3 of six patients is two.
    assert len(shown) == 2


def test_every_picture_and_table_is_there(finished):
    _, result = finished
    assert sorted(path.name for path in folder_of(result).iterdir()) == [
        "accuracy.svg",
        "augmentation.png",
        "confusion_matrix.svg",
        "evaluation.txt",
        "history.csv",
        "loss.svg",
        "predictions.png",
        "roc.svg",
        "validation.csv",
    ]


def test_the_history_has_a_row_for_each_epoch(finished):
    _, result = finished
    with open(folder_of(result) / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[0]["val_loss"]) > 0


def test_nothing_is_left_of_the_resume_state_and_one_board_is_written(finished):
    config, _ = finished
    models = Path(config.output_models)
    assert not (models / "resume").exists()
    assert len(list(models.glob("tensorboard/*/events.out.*"))) == 1
    assert not list(models.rglob("*.partial"))


def test_without_plots_only_tables_are_written(cells, tmp_path):
    result = train(settings(cells, tmp_path, epochs=1))
    assert {path.suffix for path in folder_of(result).iterdir()} == {".csv", ".txt"}


def test_three_labels_end_in_a_softmax_and_are_evaluated(tmp_path):
    labels = ("Parasitized", "Uninfected", "Other")
    write_cells(tmp_path / "cells", 12, patients=4, labels=labels)
    config = settings(tmp_path / "cells", tmp_path, labels=labels, epochs=1)
    result = train(config)
    assert np.shape(result.confusion) == (3, 3)
    assert result.values["sensitivity"] is None
    assert (
        read_metadata(find_pair(result.model), read_architecture(find_pair(result.model))).labels
        == labels
    )


def test_a_check_tells_everything_and_trains_nothing(cells, tmp_path):
    config = settings(cells, tmp_path, epochs=3)
    text = "\n".join(dry_run(config))
    assert "training: 32 images (Parasitized 16, Uninfected 16) of 4 patients" in text
    assert "validation: 16 images (Parasitized 8, Uninfected 8) of 2 patients" in text
    assert "C9_broken.png: not an image of a known kind" in text
    assert "network: tiny, 67 parameters, 48 x 48 pixels" in text
    assert "epochs: 3 of 4 steps of 8 images" in text
    assert re.search(r"estimated time: \d+\.\d (minutes|hours)", text)
    assert not (tmp_path / "models").exists()


def constant_adam(learning_rate):
    return make_optimizer("constant", learning_rate=learning_rate, total_steps=9, steps_per_epoch=3)


def test_the_dry_run_times_larger_batches_where_the_device_holds_the_pictures(
    cells, tmp_path, monkeypatch
):
    monkeypatch.setattr(assembly, "_fits", lambda device, images: True)
    lines = list(dry_run(settings(cells, tmp_path)))
    assert lines[-1].startswith("estimated time: ")


def test_a_check_of_folds_tells_the_time_of_all(cells, tmp_path):
    lines = list(dry_run(settings(cells, tmp_path, epochs=200), folds=4))
    *_, one, all_of_them = lines
    assert all_of_them.startswith("of 4 folds: about")
    # Rounded to a tenth of a minute each.
    minutes = [float(line.split()[-2]) for line in (one, all_of_them)]
    assert abs(minutes[1] - 4 * minutes[0]) <= 0.25
    assert "training: 32 images" in "".join(lines)


def test_the_best_epochs_weights_are_kept_and_patience_ends_the_run():
    model = build_model("vgg", image_size=(42, 42), label_count=2)
    images = np.random.default_rng(0).integers(0, 256, (8, 42, 42, 3)).astype(np.uint8)
    # With such a rate the loss soon rises for good.
    compile_model(model, constant_adam(0.05))
    kept = []
    progress = Progress()
    run_epochs(
        Learner(model, pipeline_of(pixels_of(images, [0, 1] * 4))),
        progress,
        epochs=30,
        patience=2,
        after_epoch=lambda progress: kept.append(model.get_weights()),
    )
    assert progress.epoch == progress.best_epoch + 2 < 30
    losses = [row["val_loss"] for row in progress.history]
    assert progress.best_loss == min(losses)
    best = kept[progress.best_epoch - 1]
    assert all((a == b).all() for a, b in zip(model.get_weights(), best, strict=True))


def test_the_cosine_schedule_rises_to_its_peak_and_falls_to_zero():
    model = build_model("vgg", image_size=(42, 42), label_count=2)
    optimizer = make_optimizer("cosine", learning_rate=1.0, total_steps=100, steps_per_epoch=10)
    compile_model(model, optimizer)
    rates = []
    for step in range(101):
        model.optimizer.iterations.assign(step)
        rates.append(current_learning_rate(model))
    assert rates[0] == pytest.approx(1 / 25)
    assert np.argmax(rates) == 30
    assert max(rates) == pytest.approx(1, abs=1e-6)
    assert rates[100] == pytest.approx(0, abs=1e-6)
    assert (np.diff(rates[:31]) > 0).all()
    assert (np.diff(rates[30:]) < 0).all()


STOPPED = {
    "model": "compact",
    "image_size": (16, 16),
    "epochs": 4,
    "batch_size": 8,
    "deterministic": True,
    "plot_training_data": False,
    "guard": False,
}


def run(cells, models, *more):
    """A process of train.py that is just starting."""
    changes = {"train_images": cells, "output_models": models, **STOPPED}
    options = [f"--set={key}={json.dumps(value, default=str)}" for key, value in changes.items()]
    command = [sys.executable, TOP / "train.py", f"--config={TOP / 'config.yaml'}", *options, *more]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def weights_in(models):
    found = {}
    with h5py.File(find_pair(models).weights) as file:
        file.visititems(
            lambda name, item: (
                found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
            )
        )
    return found


@pytest.fixture(scope="module")
def undisturbed(cells, tmp_path_factory):
    models = tmp_path_factory.mktemp("undisturbed")
    with run(cells, models) as process:
        process.communicate(timeout=120)
    return weights_in(models)


@pytest.mark.parametrize(
    ("stop", "after", "status"),
    [(signal.SIGINT, "training:", 130), (signal.SIGKILL, "epoch 2/4", -9)],
    ids=["Ctrl-C in the first epoch", "kill -9 in the third"],
)
def test_a_stopped_run_goes_on_to_the_same_weights(
    cells, tmp_path, undisturbed, stop, after, status
):
    said = []
    with run(cells, tmp_path) as process:
        for line in process.stderr:
            said.append(line)
            if line.startswith(after):
                wait_for(lambda: list(tmp_path.glob("resume/*/state.npz")))
                process.send_signal(stop)
    assert process.returncode == status
    assert "Traceback" not in "".join(said)
    with pytest.raises(UserError):
        find_pair(tmp_path)
    with run(cells, tmp_path, "--resume") as process:
        said = process.communicate(timeout=120)[1]
    assert process.returncode == 0, said
    assert "going on after epoch" in said
    found = weights_in(tmp_path)
    assert found.keys() == undisturbed.keys()
    assert all((found[name] == undisturbed[name]).all() for name in found)
    assert not (tmp_path / "resume").exists()


def interrupt_after(epoch, config, monkeypatch):
    """Train, and press Ctrl-C when the state after that epoch is kept."""
    save = trainer.ResumePoint.save

    def save_and_interrupt(point, progress, *more):
        save(point, progress, *more)
        if progress.epoch == epoch:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(trainer.ResumePoint, "save", save_and_interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(config)


def test_an_interrupted_run_is_not_begun_anew_nor_gone_on_with_other_images(
    cells, tmp_path, monkeypatch, capsys
):
    moving = tmp_path / "cells"
    shutil.copytree(cells, moving)
    config = settings(moving, tmp_path)
    interrupt_after(1, config, monkeypatch)
    assert "1 of 2 epochs are kept; go on with --resume" in capsys.readouterr().err
    with pytest.raises(UserError, match="go on with --resume, or delete"):
        train(config)
    next((moving / "Uninfected").iterdir()).unlink()
    with pytest.raises(UserError, match="the images, or those excluded, have changed"):
        train(config, resume=True)


def test_ctrl_c_counts_at_the_next_step_and_a_second_one_at_once():
    with defer_interrupts() as check:
        check()
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            check()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def wait_for(condition):
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("waited for half a minute in vain")


def test_resume_without_an_interrupted_run_is_refused(cells, tmp_path):
    with pytest.raises(UserError, match=r"^nothing to resume: expected .*; start without --resume"):
        train(settings(cells, tmp_path), resume=True)


def test_a_loss_that_is_no_number_is_an_error_that_names_the_setting():
    model = build_model("vgg", image_size=(42, 42), label_count=2)
    compile_model(model, constant_adam(1e-3))
    model.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
    pixels = pixels_of(np.zeros((4, 42, 42, 3), np.uint8), [0, 1, 0, 1])
    with pytest.raises(UserError, match="lower learning_rate"):
        run_epochs(
            Learner(model, pipeline_of(pixels)),
            Progress(),
            epochs=1,
            patience=None,
            after_epoch=print,
        )


def test_drawn_cells_of_unseen_patients_are_told_apart(tmp_path):
    write_cells(tmp_path / "cells", 150, seed=1, patients=12)
    config = settings(
        tmp_path / "cells",
        tmp_path,
        model="compact",
        image_size=(48, 48),
        epochs=8,
        batch_size=16,
        learning_rate=2e-3,
        augmentation=Augmentation(
            flips=True, quarter_turns=True, brightness=0.1, color_jitter=0.05
        ),
    )
    assert train(config).values["accuracy"] > 0.9


def test_the_text_of_the_evaluation_is_of_the_result_that_train_returns(finished):
    _, result = finished
    text = (folder_of(result) / "evaluation.txt").read_text(encoding="utf-8")
    assert text == describe(result) + "\n"
    assert "of 2 patients" in text


def test_a_dict_trains_like_a_config_and_a_wrong_one_is_refused(cells, tmp_path):
    known = settings(cells, tmp_path, epochs=1).model_dump()
    assert train(known).model.is_file()
    with pytest.raises(UsageError, match="settings: epochs: expected greater than or equal to 1"):
        train(known | {"epochs": 0})
    with pytest.raises(UsageError, match="settings: train_images: no folder"):
        train(known | {"train_images": str(tmp_path / "none")})


def test_training_works_outside_of_the_main_thread(cells, tmp_path):
    with ThreadPoolExecutor(1) as threads:
        result = threads.submit(train, settings(cells, tmp_path, epochs=1)).result()
    assert result.model.is_file()


def test_a_picture_that_vanishes_while_training_is_named_and_the_run_can_go_on(
    cells, tmp_path, capsys
):
    folder = tmp_path / "cells"
    shutil.copytree(cells, folder)
    picture = next((folder / "Uninfected").glob("C1*"))
    content = picture.read_bytes()
    config = settings(folder, tmp_path, cache="none", epochs=3)
    with pytest.MonkeyPatch.context() as patch:
        first_row = trainer.ResumePoint.save

        def save_and_lose(point, progress, *more):
            first_row(point, progress, *more)
            if progress.epoch == 1:
                picture.unlink()

        patch.setattr(trainer.ResumePoint, "save", save_and_lose)
        with pytest.raises(UserError, match="no such file, and it was readable when the run") as e:
            train(config)
    assert str(picture) in str(e.value)
    picture.write_bytes(content)
    assert train(config, resume=True).model.exists()
    assert "going on after epoch 1" in capsys.readouterr().err


def test_a_check_tells_everything_before_it_refuses_pictures_under_two_labels(cells, tmp_path):
    folder = tmp_path / "cells"
    shutil.copytree(cells, folder)
    picture = next((folder / "Uninfected").glob("C1*"))
    shutil.copy(picture, folder / "Parasitized")
    config = settings(folder, tmp_path)
    lines = []
    with pytest.raises(UserError, match="2 files hold images that lie under two labels") as e:
        lines.extend(dry_run(config))  # keeps what came before the refusal
    assert str(picture) in str(e.value)
    assert lines[-1].startswith("estimated time: ")
    with pytest.raises(UserError, match="2 files hold images that lie under two labels"):
        train(config)
