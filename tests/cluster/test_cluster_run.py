"""run.py --cluster and train.py --cluster as commands: what they write, say and refuse."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from itertools import product
from pathlib import Path

import pytest

from malaria.base.address import speaks_http2
from malaria.base.errors import UsageError, UserError
from malaria.cli import options, train
from malaria.cluster import connect
from malaria.cluster.connect import connected
from malaria.saved.pair import default_pair

TOP = Path(__file__).parents[2]
LEAST = ["--image=i", "--cluster=auto"]


def command(*arguments):
    return [sys.executable, TOP / "run.py", *map(str, arguments)]


def run(*arguments, **environment):
    known = {"capture_output": True, "text": True, "check": False}
    return subprocess.run(command(*arguments), env=os.environ | environment, **known)


def test_a_folder_gives_the_same_file_and_report_with_a_cluster_as_without(
    cells, cluster, tmp_path
):
    files = ("rows.csv", "metrics.json")
    for folder, more in (("alone", ()), ("many", [f"--cluster={cluster.address}"])):
        rows, metrics = (tmp_path / folder / name for name in files)
        known = [f"--image={cells}", f"--output={rows}", "--evaluate", f"--metrics={metrics}"]
        result = run(*known, "--tta", *more)
        assert result.returncode == 1, result.stderr  # of the damaged image
    assert result.stderr.splitlines()[0] == "cluster: 3 nodes, 3 cores"
    for name in files:
        assert (tmp_path / "many" / name).read_text() == (tmp_path / "alone" / name).read_text()


def test_ctrl_c_is_one_line_and_resume_goes_on_with_the_rows_that_are_kept(
    cells, cluster, tmp_path
):
    copies = product(range(60), sorted(cells.glob("*/*.png")))
    names = [
        str(shutil.copy(one, tmp_path / f"{number} {one.parent.name} {one.name}"))
        for number, one in copies
    ]
    (tmp_path / "list.txt").write_text("\n".join(names))
    known = [f"--image=@{tmp_path / 'list.txt'}", f"--output={tmp_path / 'a.jsonl'}"]
    known += [f"--cluster={cluster.address}", "--count_only"]
    process = subprocess.Popen(command(*known), stderr=subprocess.PIPE, text=True)
    for _ in range(2000):
        if any(path.stat().st_size for path in tmp_path.glob("*.partial")):
            break
        time.sleep(0.05)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[1].splitlines()[-1] == "interrupted"
    assert process.returncode == 130
    [partial] = tmp_path.glob("*.partial")
    kept = partial.read_text()
    assert 0 < kept.count("\n") < len(names)
    result = run(*known, "--resume")
    assert f"{len(names)} images" in result.stderr, result.stderr
    rows = (tmp_path / "a.jsonl").read_text()
    assert rows.count("\n") == len(names)
    assert rows.startswith(kept)


def test_whole_fields_have_the_same_cells_with_a_cluster_as_without(cluster, tmp_path, draw_field):
    for number in range(3):
        field, _ = draw_field(seed=number, parasitized=(number,))
        (tmp_path / "fields").mkdir(exist_ok=True)
        field.save(tmp_path / "fields" / f"{number}.png")
    for suffix in (".h5", ".json", ".tflite"):
        content = default_pair().with_name(f"detector{suffix}").read_bytes()
        if suffix == ".json":  # a detector of one's own, which finds other cells
            known = json.loads(content)
            known["malaria"]["threshold"] = 0.87
            content = json.dumps(known).encode()
        (tmp_path / f"own{suffix}").write_bytes(content)
    told = [
        run("--fields", f"--image={tmp_path / 'fields'}", f"--detector={tmp_path}/own.h5", *more)
        for more in ((), [f"--cluster={cluster.address}"])
    ]
    assert told[0].returncode == 0, told[0].stderr
    assert 0 < told[0].stdout.count("\n") < 36
    assert told[1].stdout == told[0].stdout


def test_without_ray_one_line_says_how_to_install_it(tmp_path, cells):
    (tmp_path / "ray.py").write_text("raise ImportError")
    result = run(f"--image={cells}", "--cluster=local", PYTHONPATH=str(tmp_path))
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        "error: --cluster needs Ray, which is not installed here: pip install -r "
        "requirements-cluster.txt\n"
    )


@pytest.mark.parametrize("address", ["127.0.0.1:1", "auto"])
def test_where_nobody_answers_that_is_told_at_once(ray, monkeypatch, address):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    told = r"nobody answers at 127\.0\.0\.1:1: expected the HOST:PORT that `ray start --head` told"
    with pytest.raises(UserError, match=told), connected(address):
        pass


def test_a_server_that_is_no_ray_is_told_and_not_waited_for(ray, monkeypatch):
    monkeypatch.setattr(connect, "speaks_http2", partial(speaks_http2, seconds=0.2))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        told = f"what answers at {address} is no Ray: expected the HOST:PORT"
        with pytest.raises(UserError, match=told), connected(address):
            pass


@pytest.mark.parametrize(
    "address", ["0", "a:0", "a:99999", "a b:1", "ray://a:1", "http://a:1", "[[["]
)
def test_an_address_of_ray_that_is_none_is_refused(address, ray, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", address)
    told = "RAY_ADDRESS: expected HOST:PORT; received "
    with pytest.raises(UsageError, match=told), connected("auto"):
        pass
    with pytest.raises(UsageError, match="expected auto, local or HOST:PORT; received "):
        options.parse(["--image=i", f"--cluster={address}"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--explain=o"], "--explain does not go with --cluster"),
        (["--engine=keras"], "--cluster: its workers answer with LiteRT"),
        (["--model", "a", "b", "--evaluate"], "--cluster goes with one --model; received 2"),
        (["--cluster=somewhere"], "expected auto, local or HOST:PORT; received somewhere"),
    ],
)
def test_what_does_not_go_with_a_cluster_is_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        options.parse([*LEAST, *arguments])
    with pytest.raises(UsageError, match="--cluster does not go with --calibrate"):
        options.parse(["--calibrate=f", "--save=a.h5", "--cluster=auto"])


@pytest.mark.parametrize("more", [[], ["--folds=3", "--check"]])
def test_training_one_network_or_none_on_a_cluster_is_refused(more, cells):
    settings = [f"--config={TOP / 'config.yaml'}", f"--set=train_images={cells}"]
    with pytest.raises(UsageError, match=r"--cluster: trains the parts of --folds side by side"):
        train.main([*settings, "--cluster=auto", *more])
