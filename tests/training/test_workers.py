"""Several machines that train one network, as processes of one machine."""

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
from learning import rows_of

from malaria.base.errors import UsageError, UserError
from malaria.data.drawn_cells import write_cells
from malaria.settings.config_file import read_config
from malaria.training.trainer import train
from malaria.training.workers import Workers, find_workers

TOP = Path(__file__).parents[2]
PROGRAM = Path(__file__).parent / "train_tiny.py"
# Its batch norm would differ where each worker had its own.
SETTINGS = {"model": "undropped", "image_size": "[16,16]", "epochs": 3, "batch_size": 12}
SETTINGS |= {"schedule": "constant", "learning_rate": 1e-2, "augmentation": "{}"}
SETTINGS |= {"devices": "cpu", "guard": "false", "deterministic": "true"}
SETTINGS |= {"plot_training_data": "false"}
# A worker that ends like a machine without power, once its second epoch is done.
DYING = f"""
import os, runpy, signal, sys
from malaria.training.checkpoint import ReadOnlyResumePoint

def die(point, progress, *more):
    if progress.epoch == 2:
        os.kill(os.getpid(), signal.SIGKILL)

ReadOnlyResumePoint.save = die
sys.path.insert(0, {str(PROGRAM.parent)!r})
runpy.run_path({str(PROGRAM)!r})
"""


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workers") / "cells"
    write_cells(folder, 30, seed=1, patients=6)
    return folder


def free_addresses(count):
    # Of those that neither the system nor Ray, whose tests run beside these, hands out meanwhile.
    ports = (random.randint(20_000, 32_000) for _ in range(1000))
    return [f"127.0.0.1:{port}" for port in islice(filter(is_free, ports), count)]


def is_free(port):
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def overrides(cells, models, **changes):
    settings = {"train_images": cells, "output_models": models, **SETTINGS, **changes}
    return [f"{key}={value}" for key, value in settings.items()]


def start(cells, models, *more, programs=([PROGRAM],) * 2):
    """The processes of two workers."""
    known = [f"--config={TOP / 'config.yaml'}", f"--workers={','.join(free_addresses(2))}", *more]
    known += [f"--set={override}" for override in overrides(cells, models)]
    return [
        subprocess.Popen(
            [sys.executable, *program, *known, f"--worker={number}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(TOP)},
        )
        for number, program in enumerate(programs)
    ]


def history_of(models):
    [path] = models.glob("model_*/history.csv")
    return [{key: float(value) for key, value in row.items()} for row in rows_of(path)]


@pytest.fixture(scope="module")
def alone(cells):
    """The history of one process."""
    models = cells.parent / "alone"
    train(read_config(TOP / "config.yaml", overrides(cells, models, deterministic="false")))
    return history_of(models)


@pytest.fixture(scope="module")
def killed(cells):
    """What the first of two workers says when the second is killed, and the folder."""
    models = cells.parent / "by_two"
    first, second = start(cells, models, programs=([PROGRAM], ["-c", DYING]))
    out, err = first.communicate(timeout=240)
    assert second.communicate(timeout=60)[0] == ""
    assert second.returncode == -signal.SIGKILL
    return (first.returncode, out), err, models


def test_a_dead_worker_ends_the_others_with_one_line(killed):
    status, err, _ = killed
    assert status == (1, "")
    assert "another of the 2 workers has ended" in err.splitlines()[-1]
    assert "Traceback" not in err


def test_two_workers_that_go_on_have_the_loss_curve_of_one_and_the_first_one_saves(
    cells, alone, killed
):
    *_, models = killed
    processes = start(cells, models, "--resume")
    said = [process.communicate(timeout=240) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    # The first one may be lost before or after its state of the second epoch is written.
    assert all(re.search("^going on after epoch [12]$", err, re.M) for _, err in said), said
    assert "accuracy" in said[0][0]
    assert said[1][0] == ""
    for row, other in zip(history_of(models), alone, strict=True):
        for name in ("loss", "val_loss", "learning_rate"):
            assert row[name] == pytest.approx(other[name], rel=1e-3), (row, other)
    assert len(list(models.glob("*.h5"))) == 1
    assert not (models / "resume").exists()


def test_workers_are_named_by_options_variables_or_not_at_all(monkeypatch):
    for name in ("TF_CONFIG", "SLURM_STEP_NUM_TASKS"):
        monkeypatch.delenv(name, raising=False)
    assert find_workers(None, None) is None
    assert find_workers("a:1, b:2", 1) == Workers(("a:1", "b:2"), 1)
    assert find_workers("a:1", 0) is None
    config = {"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    assert find_workers(None, None) == Workers(("a:1", "b:2"), 0)
    config["cluster"] |= {"chief": ["c:3"]}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    assert find_workers(None, None) == Workers(("c:3", "a:1", "b:2"), 1)


def test_a_step_of_slurm_is_read(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    variables = {"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "1", "CUDA_VISIBLE_DEVICES": ""}
    variables |= {"SLURM_STEP_NODELIST": "n[1-2]", "SLURM_STEP_TASKS_PER_NODE": "1(x2)"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert find_workers(None, None) == Workers(("n1:8888", "n2:8888"), 1)


@pytest.mark.parametrize(
    ("addresses", "message"),
    [
        # Of documentation, and so of no machine (RFC 5737).
        (("198.51.100.1:2222", "127.0.0.1:2223"),
         r"worker 0 cannot listen at 198\.51\.100\.1:2222: Cannot assign requested address; "),
        (("127.0.0.1:2222", "a..b:2223"), r"no machine is known here by the name in a\.\.b:2223"),
    ],
)  # fmt: skip
def test_an_address_where_no_worker_can_be_is_told_and_not_waited_for(addresses, message):
    with pytest.raises(UserError, match=message):
        Workers(addresses, 0).make_strategy()


def test_a_port_that_another_program_has_is_told():
    with socket.create_server(("127.0.0.1", 0)) as server:
        own = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(UserError, match="Address already in use; expected an address of this"):
            Workers((own, "127.0.0.1:1"), 0).make_strategy()


@pytest.mark.parametrize(
    ("addresses", "index", "message"),
    [
        ("a:1,b", 0, "--workers: expected HOST:PORT,HOST:PORT with ports from .*; received 'b'"),
        ("a:0,b:1", 0, "received 'a:0'"),
        ("a:1,b:99999", 0, "received 'b:99999'"),
        ("a:1," + "[" * 9000, 0, r"received '\[+\.\.\.'$"),
        ("a:1,a:1", 0, "expected each address once"),
        ("a:1,b:2", None, "expected --worker of 0 to 1"),
        ("a:1,b:2", 2, "expected --worker of 0 to 1, which of them this is; received 2"),
        (None, 1, "--worker: expected --workers"),
    ],
)
def test_wrong_workers_are_refused(addresses, index, message):
    with pytest.raises(UsageError, match=message):
        find_workers(addresses, index)


@pytest.mark.parametrize(
    "text",
    [
        *("{", "[]", "[" * 100_000, "9" * 9000),
        '{"cluster": {"ps": ["a:1"]}, "task": {"type": "ps", "index": 0}}',
        '{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 1e400}}',
        *(
            f'{{"cluster": {{"chief": ["c:1"], "worker": ["a:1", "b:2"]}}, "task": {task}}}'
            for task in (
                '{"type": "worker", "index": true}',
                '{"type": "worker", "index": 0.5}',
                '{"type": "worker", "index": -1}',
                '{"type": "chief", "index": 1}',
            )
        ),
        '{"cluster": {"worker": "a:1"}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["a:1", 5]}, "task": {"type": "worker", "index": 0}}',
    ],
    ids=lambda text: text[:40],
)
def test_a_wrong_tf_config_is_refused(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UsageError, match="TF_CONFIG: expected") as caught:
        find_workers(None, None)
    assert len(str(caught.value)) < 400
