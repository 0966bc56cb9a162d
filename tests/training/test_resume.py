"""A training that is interrupted: what is kept of it, and how it goes on."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from learning import model_of, settings

from malaria.base.errors import UserError
from malaria.networks import save
from malaria.saved.pair import find_pair
from malaria.settings.config_file import read_config
from malaria.training import trainer
from malaria.training.checkpoint import Progress, ResumePoint
from malaria.training.trainer import train

TOP = Path(__file__).parents[2]
PROGRAM = Path(__file__).parent / "train_tiny.py"
STOPPED = {"model": "tiny", "image_size": (16, 16), "epochs": 4, "batch_size": 8}
STOPPED |= {"deterministic": True, "plot_training_data": False, "guard": False}


def overrides(cells, models):
    changes = {"train_images": cells, "output_models": models, **STOPPED}
    return [f"{key}={json.dumps(value, default=str)}" for key, value in changes.items()]


def run(cells, models, *more):
    """A process of train.py that is just starting."""
    options = [f"--set={override}" for override in overrides(cells, models)]
    command = [sys.executable, PROGRAM, f"--config={TOP / 'config.yaml'}", *options, *more]
    known = {"stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(TOP)}, **known)


@pytest.mark.parametrize("name", ["resume", "resume/1a2b", "resume/1a2b.lock"])
def test_the_state_of_a_run_is_written_through_no_link(tmp_path, name):
    other = tmp_path / "other"
    other.touch() if name.endswith(".lock") else other.mkdir()
    (tmp_path / "models" / name).parent.mkdir(parents=True)
    (tmp_path / "models" / name).symlink_to(other)
    point, model = ResumePoint(tmp_path / "models", "1a2b"), Mock(variables=[])
    model.optimizer.variables = []
    with pytest.raises(UserError, match=rf"cannot write .*{name}: it is a link"), point.locked():
        point.save(Progress(), model, "digest")
    assert not other.is_dir() or not list(other.iterdir())
    assert other.is_dir() or other.read_bytes() == b""


def stop(cells, models, *more, after, by):
    """Let a training end by a signal once it has said `after`; what it said."""
    said = []
    with run(cells, models, *more) as process:
        for line in process.stderr:
            said.append(line)
            if line.startswith(after):
                wait_for(lambda: list(models.glob("resume/*/state.npz")))
                process.send_signal(by)
    return process.returncode, "".join(said)


def test_a_run_that_is_stopped_twice_goes_on_to_the_same_weights(
    cells, tmp_path, determinism, capsys
):
    calm, stopped = tmp_path / "calm", tmp_path / "stopped"
    status, said = stop(cells, stopped, after="training:", by=signal.SIGINT)
    assert status == 130
    assert "Traceback" not in said
    status, said = stop(cells, stopped, "--resume", after="epoch 2/4", by=signal.SIGKILL)
    assert status == -9
    assert "going on after epoch" in said
    with pytest.raises(UserError):
        find_pair(stopped)
    for models in (stopped, calm):
        config = read_config(TOP / "config.yaml", overrides(cells, models), with_data=True)
        train(config, resume=models == stopped)
        assert ("going on after epoch" in capsys.readouterr().err) == (models == stopped)
    weights = (model_of(models).get_weights() for models in (stopped, calm))
    for pair in zip(*weights, strict=True):
        assert np.array_equal(*pair)
    assert not (stopped / "resume").exists()


def test_what_a_killed_process_left_of_saving_goes_with_the_state(cells, tmp_path, monkeypatch):
    models, write = tmp_path / "models", save._write

    def look(model, workshop, entries):
        assert workshop.parents[1] == models / "resume"
        (workshop.parent / ".saving_by_a_killed_process").mkdir()
        write(model, workshop, entries)

    monkeypatch.setattr(save, "_write", look)
    train(settings(cells, tmp_path))
    assert not list(models.rglob("*saving_*"))
    assert not (models / "resume").exists()


def wait_for(condition):
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("waited for half a minute in vain")


@pytest.fixture
def after_first_epoch(monkeypatch):
    """A function that lets another be called once the state after the first epoch is kept."""
    save = trainer.ResumePoint.save

    def patch(act):
        def save_and_act(point, progress, *more):
            save(point, progress, *more)
            if progress.epoch == 1:
                act()

        monkeypatch.setattr(trainer.ResumePoint, "save", save_and_act)

    return patch


def test_an_interrupted_run_is_not_begun_anew_nor_gone_on_with_other_images(
    cells, tmp_path, after_first_epoch, capsys
):
    def interrupt():
        raise KeyboardInterrupt

    moving = shutil.copytree(cells, tmp_path / "cells")
    config = settings(moving, tmp_path, epochs=2)
    with pytest.raises(UserError, match=r"^nothing to resume: expected .*; start without --resume"):
        train(config, resume=True)
    after_first_epoch(interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(config)
    assert "1 of 2 epochs are kept; go on with --resume" in capsys.readouterr().err
    with pytest.raises(UserError, match="go on with --resume, or delete"):
        train(config)
    next((moving / "Uninfected").iterdir()).unlink()
    with pytest.raises(UserError, match="the images, or those excluded, have changed"):
        train(config, resume=True)


def test_a_picture_that_vanishes_while_training_is_named_and_the_run_can_go_on(
    cells, tmp_path, after_first_epoch, capsys
):
    folder = shutil.copytree(cells, tmp_path / "cells")
    picture = next((folder / "Uninfected").glob("C1*"))
    content = picture.read_bytes()
    config = settings(folder, tmp_path, cache="none", epochs=3)
    after_first_epoch(picture.unlink)
    with pytest.raises(UserError, match="no such file, and it was readable when the run") as e:
        train(config)
    assert str(picture) in str(e.value)
    picture.write_bytes(content)
    assert train(config, resume=True).model.exists()
    assert "going on after epoch 1" in capsys.readouterr().err
