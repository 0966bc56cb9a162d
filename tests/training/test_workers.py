"""Several machines that train one network, as processes of one machine."""

import json
import random
import re
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
# The batch norm of compact would differ where each worker had its own.
SETTINGS = {"model": "compact", "init_weights": "pretrained", "image_size": "[32,32]", "epochs": 2}
SETTINGS |= {"batch_size": 12, "schedule": "constant", "learning_rate": 1e-4, "augmentation": "{}"}
SETTINGS |= {"devices": "cpu", "guard": "false", "deterministic": "true"}
SETTINGS |= {"plot_training_data": "false"}


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


def command(cells, models, *more, **changes):
    options = [f"--set={override}" for override in overrides(cells, models, **changes)]
    return [sys.executable, TOP / "train.py", f"--config={TOP / 'config.yaml'}", *options, *more]


def start(cells, models, count, *more, **changes):
    """The processes of so many workers."""
    addresses = f"--workers={','.join(free_addresses(count))}"
    return [
        subprocess.Popen(
            command(cells, models, addresses, f"--worker={number}", *more, **changes),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(count)
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


def test_two_workers_have_the_loss_curve_of_one_and_the_first_one_saves(cells, alone):
    models, count = cells.parent / "by_two", 2
    processes = start(cells, models, count)
    said = [process.communicate(timeout=240) for process in processes]
    assert [process.returncode for process in processes] == [0] * count, said
    assert "accuracy" in said[0][0]
    assert [out for out, _ in said[1:]] == [""] * (count - 1)
    for row, other in zip(history_of(models), alone, strict=True):
        # Each worker drops other units out.
        for name, tolerance in (("loss", 0.1), ("val_loss", 0.03)):
            assert row[name] == pytest.approx(other[name], rel=tolerance), (row, other)
    assert row["learning_rate"] == other["learning_rate"]
    assert len(list(models.glob("*.h5"))) == 1
    assert not (models / "resume").exists()


@pytest.fixture(scope="module")
def killed(cells):
    """What the first of two workers says when the second is killed, and the folder."""
    models = cells.parent / "killed"
    first, second = start(cells, models, 2, epochs=60)
    for line in first.stderr:
        if line.startswith("epoch 1/60"):
            break
    second.kill()
    out, err = first.communicate(timeout=240)
    second.communicate()
    return (first.returncode, out), err, models


def test_a_dead_worker_ends_the_others_with_one_line(killed):
    status, err, _ = killed
    assert status == (1, "")
    assert "another of the 2 workers has ended" in err.splitlines()[-1]
    assert "Traceback" not in err


def test_all_workers_go_on_with_resume(cells, killed):
    *_, models = killed
    processes = start(cells, models, 2, "--resume", epochs=60)
    told = []
    for line in processes[1].stderr:
        told.append(line)
        if re.match(r"epoch \d+/60", line):
            break
    for process in processes:
        process.kill()
        process.communicate()
    assert any(line.startswith("going on after epoch ") for line in told), told
    assert not told[-1].startswith("epoch 1/60"), told


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
