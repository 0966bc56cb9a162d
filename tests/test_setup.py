"""What setup.sh chooses, says and refuses, with a Python and a pip that only pretend."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
REQUIREMENTS = [f"requirements{kind}.txt" for kind in ("", "-cluster", "-common", "-dev", "-gpu")]
TOOLS = "bash cat cksum cp dirname grep mkdir rm sed tail tee timeout touch"

# Pretends to be Python: notes what it was asked for, makes a .venv of itself, installs nothing.
# A setting is a file beside it, which its copy in a .venv looks for in the same place.
FAKE_PYTHON = """#!/usr/bin/env bash
settings="$SETTINGS"
setting() { cat "$settings/$1" 2>/dev/null || echo "$2"; }
case "$*" in
"-c import platform"*) setting version 3.12.4 ;;
"-c import ensurepip"*) exit "$(setting ensurepip 0)" ;;
"-c import pip") exit "$(setting pip 0)" ;;
"-m venv "*)
    echo "$*" >>"$settings/calls"
    [ "$(setting venv 0)" = 0 ] || { echo "Error: no space" >&2; exit 1; }
    rm -rf .venv && mkdir -p .venv/bin && cp "$0" .venv/bin/python
    echo "VIRTUAL_ENV=$PWD/.venv" >.venv/bin/activate ;;
"-m pip install"*)
    echo "${@:2}" >>"$settings/calls"
    setting pip_output "Successfully installed keras"
    exit "$(setting pip_status 0)" ;;
*)
    echo "$*" >>"$settings/calls"
    echo "output of $1 $2"
    exit "$(setting "status_of_$2" 0)" ;;
esac
"""


class Machine:
    """A copy of setup.sh in a folder with a space in its name, and the programs it may find."""

    def __init__(self, folder):
        self.copy = folder / "my copy"
        self.programs = folder / "programs"
        self.settings = folder / "settings"
        for made in (self.copy, self.programs, self.settings):
            made.mkdir()
        for name in ("setup.sh", *REQUIREMENTS):
            shutil.copy(REPOSITORY / name, self.copy / name)
        for name in TOOLS.split():
            (self.programs / name).symlink_to(shutil.which(name))
        self.add("python3", FAKE_PYTHON)

    def add(self, program, script):
        path = self.programs / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script)
        path.chmod(0o755)

    def set(self, **settings):
        for name, value in settings.items():
            (self.settings / name).write_text(f"{value}\n")

    def run(self, *arguments, **environment):
        """Returns the exit status, stdout, and stderr as a list of lines."""
        command = ["bash", str(self.copy / "setup.sh"), *arguments]
        known = {"PATH": str(self.programs), "SETTINGS": str(self.settings), **environment}
        answer = subprocess.run(
            command, cwd=self.programs, env=known, capture_output=True, text=True, timeout=60
        )
        return answer.returncode, answer.stdout, answer.stderr.splitlines()

    def succeed(self, *arguments, **environment):
        """Returns stdout, and stderr as a list of lines."""
        status, *said = self.run(*arguments, **environment)
        assert status == 0, said
        return said

    def calls(self):
        """What the fake Python was asked to do since the last time, without questions."""
        calls = self.settings / "calls"
        lines = calls.read_text().splitlines() if calls.exists() else []
        calls.write_text("")
        return lines


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.fixture
def ready(machine):
    machine.run()
    machine.calls()
    return machine


MAKE_VENV = "-m venv --clear .venv"
INSTALL = "pip install -r requirements.txt"
DRAW = "-m malaria draw --out demo/train --count 300 --seed 1 --patients 12"


def assert_failed(answer, *reasons):
    """The only error is the last line, and it holds `reasons`."""
    status, out, lines = answer
    assert (status, out) == (1, "")
    assert [line for line in lines if line.startswith("error: ")] == lines[-1:]
    for reason in reasons:
        assert reason in lines[-1]


def test_it_makes_a_venv_and_says_how_to_go_on(machine):
    out, lines = machine.succeed()
    assert out == ""
    assert machine.calls() == [MAKE_VENV, INSTALL]
    folder = str(machine.copy).replace(" ", r"\ ")
    assert lines == [
        "making .venv with Python 3.12.4",
        "using requirements.txt: there is no nvidia-smi, so no NVIDIA GPU",
        "installing requirements.txt: some minutes the first time",
        f"ready; go on with: cd {folder} && source .venv/bin/activate",
    ]


def test_the_second_run_installs_nothing_until_the_requirements_change(ready):
    _, lines = ready.succeed()
    assert ready.calls() == []
    assert lines[-1].endswith("source .venv/bin/activate")
    with (ready.copy / "requirements-common.txt").open("a") as file:
        file.write("tqdm\n")
    ready.succeed()
    assert ready.calls() == [INSTALL]


@pytest.mark.parametrize("damage", ["bin/python", "no pip", "moved", "bin"])
def test_a_venv_that_does_not_work_is_made_again(ready, damage):
    if damage == "no pip":
        ready.set(pip=1)
    elif damage == "moved":
        ready.copy = ready.copy.rename(ready.copy.with_name("elsewhere"))
    else:
        shutil.move(ready.copy / ".venv" / damage, ready.copy / "elsewhere")
    ready.succeed()
    assert ready.calls() == [MAKE_VENV, INSTALL]


def test_a_link_at_venv_is_refused_and_what_it_leads_to_stays(machine, tmp_path):
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "mine.txt").write_text("")
    (machine.copy / ".venv").symlink_to(tmp_path / "others")
    assert_failed(machine.run(), "expected .venv to be a folder of this checkout, found a link")
    assert (tmp_path / "others" / "mine.txt").exists()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exit 0", "requirements-gpu.txt: nvidia-smi finds a GPU"),
        ("echo no driver >&2; exit 9", "requirements.txt: nvidia-smi fails, so no GPU can be used"),
        ("exec sleep 60", "requirements.txt: nvidia-smi fails, so no GPU can be used"),
    ],
)
def test_the_gpu_requirements_are_used_where_nvidia_smi_works(machine, script, said):
    machine.add("nvidia-smi", f"#!/usr/bin/env bash\n{script}\n")
    setup = machine.copy / "setup.sh"
    setup.write_text(setup.read_text().replace("timeout -k 1 30 ", "timeout -k 1 0.2 "))
    _, lines = machine.succeed()
    assert f"using {said}" in lines
    assert machine.calls() == [MAKE_VENV, f"pip install -r {said.partition(':')[0]}"]


@pytest.mark.parametrize("variable", ["VIRTUAL_ENV", "CONDA_PREFIX"])
def test_an_active_environment_is_used(machine, tmp_path, variable):
    machine.add("../active/bin/python", FAKE_PYTHON)
    _, lines = machine.succeed(**{variable: str(tmp_path / "active")})
    assert lines[0] == f"using the active environment {tmp_path / 'active'}"
    assert lines[-1].startswith("ready: the active environment has all")
    assert machine.calls() == [INSTALL]
    assert not (machine.copy / ".venv").exists()
    # The base environment of conda is left alone.
    machine.succeed(CONDA_PREFIX=str(tmp_path / "active"), CONDA_DEFAULT_ENV="base")
    assert machine.calls() == [MAKE_VENV, INSTALL]


def test_an_active_environment_without_a_fitting_python_is_refused(machine, tmp_path):
    answer = machine.run(VIRTUAL_ENV=str(tmp_path / "gone"))
    python = tmp_path / "gone/bin/python"
    assert_failed(answer, f"expected Python 3.10 to 3.13, found none that runs ({python})")
    machine.add("../active/bin/python", FAKE_PYTHON)
    machine.set(version="3.9.2")
    answer = machine.run(VIRTUAL_ENV=str(tmp_path / "active"))
    python = tmp_path / "active/bin/python"
    assert_failed(answer, f"Python 3.9.2 ({python}) is too old: ", ": deactivate this environment")
    assert machine.calls() == []


@pytest.mark.parametrize(
    ("versions", "reason"),
    [
        (["3.9.18", "3.1.5", "2.7.18"], "is too old: what works is 3.10 to 3.13"),
        (["3.14.0", "3.15.0a1", "3.20.1", "4.0.0"], "is too new: the newest that works is 3.13"),
    ],
)
def test_a_python_that_is_too_old_or_too_new_is_refused_with_what_works(machine, versions, reason):
    for version in versions:
        machine.set(version=version)
        remedy = "install one that does, or set PYTHON to its path, and run again"
        assert_failed(machine.run(), f"error: Python {version} (python3) {reason}: {remedy}")
    assert not (machine.copy / ".venv").exists()


def test_a_python_that_is_not_there_or_none_is_refused(machine):
    machine.set(version="3.9.18")
    answer = machine.run(PYTHON="/opt/no such/python")
    assert_failed(answer, "3.10 to 3.13, found none that runs (/opt/no such/python): install one")
    machine.set(version="nonsense")
    assert_failed(machine.run(), "expected Python 3.10 to 3.13, found nonsense (python3): ")
    (machine.programs / "python3").unlink()
    assert_failed(machine.run(), "expected Python 3.10 to 3.13, found none that runs (python3)")


def test_a_newer_python_is_found_beside_an_old_python3(machine):
    machine.add("python3", "#!/usr/bin/env bash\necho 3.6.8\n")
    machine.add("python3.11", FAKE_PYTHON)
    machine.set(version="3.11.2")
    _, lines = machine.succeed()
    assert lines[0] == "making .venv with Python 3.11.2"


def test_the_supported_versions_are_those_of_the_project():
    project = (REPOSITORY / "pyproject.toml").read_text()
    required = re.search(r'requires-python = ">=(3\.\d+),<3\.(\d+)"', project)
    oldest, newest = required[1], f"3.{int(required[2]) - 1}"
    setup, readme, workflow = (
        (REPOSITORY / name).read_text(encoding="utf-8")
        for name in ("setup.sh", "README.md", ".github/workflows/tests.yml")
    )
    assert f'supported="{oldest} to {newest}"' in setup
    assert f"Python {oldest} to {newest}." in readme
    assert f'python: ["{oldest}", "{newest}"]' in workflow


def test_a_venv_that_cannot_be_made_is_said_with_its_remedy(machine):
    machine.set(venv=1)
    assert_failed(machine.run(), "cannot make .venv with python3: Error: no space")
    machine.set(ensurepip=1)
    machine.calls()
    assert_failed(machine.run(), "venv and ensurepip", "3.12.4", "apt install python3-venv")
    assert machine.calls() == []


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("Collecting x\nERROR: No matching distribution found for x\n\n", "ERROR: No matching"),
        ("Killed\n", "Killed"),
        ("Failed to establish a new connection: NewConnectionError\n"
         "ERROR: No matching distribution found for keras",
         "no network, or pip cannot reach its index"),
    ],
)  # fmt: skip
def test_a_failed_installation_is_said_with_its_log_and_tried_again(machine, output, reason):
    machine.set(pip_status=1, pip_output=output)
    log = machine.copy / ".venv/setup.log"
    answer = machine.run()
    assert_failed(answer, f"cannot install requirements.txt: {reason}", f"details are in {log}")
    assert log.read_text() == output + "\n"
    machine.set(pip_status=0)
    machine.calls()
    machine.succeed()
    assert machine.calls() == [INSTALL]


@pytest.mark.parametrize("arguments", [["tset"], ["--help"], ["demo", "now"]])
def test_an_unknown_word_is_wrong_use(machine, arguments):
    status, out, lines = machine.run(*arguments)
    assert (status, out) == (2, "")
    assert lines == ["usage: bash setup.sh [demo | test [arguments for pytest]]"]
    assert machine.calls() == []


def test_the_tests_run_after_the_checks_and_get_the_arguments(machine):
    out, _ = machine.succeed("test", "-k", "some name")
    assert machine.calls()[2:] == [
        "pip install -r requirements-dev.txt",
        "pip install --no-deps tf_keras>=2.21,<2.23",
        "-m ruff check",
        "-m ruff format --check",
        "-m mypy",
        "-m pytest -n auto --maxprocesses 2 --dist loadfile --no-loadscope-reorder -k some name",
    ]
    assert out.endswith("output of -m pytest\n")
    machine.run("test")
    assert [call.split()[1] for call in machine.calls()] == ["ruff", "ruff", "mypy", "pytest"]


@pytest.mark.parametrize("failing", ["ruff", "mypy", "pytest"])
def test_a_failed_check_is_a_failed_test_run_but_the_tests_still_run(machine, failing):
    machine.set(**{f"status_of_{failing}": 1})
    status, out, _ = machine.run("test")
    assert status == 1
    assert out.endswith("output of -m pytest\n")


def test_the_demo_trains_classifies_and_says_where_things_are(machine):
    for _ in range(2):
        out, lines = machine.succeed("demo")
        # It begins afresh.
        assert not (machine.copy / "demo/models").exists()
        (machine.copy / "demo/models").mkdir()
        assert machine.calls()[-5:] == [
            DRAW,
            "-m malaria draw --out demo/cells --count 20 --seed 2 --patients 4",
            "train.py --config=configs/demo.yaml",
            "run.py --model=demo/models --image=demo/cells --evaluate "
            "--metrics=demo/metrics.json --report=demo/report.html",
            "run.py --image=demo/cells --evaluate --count_only "
            "--metrics=demo/pretrained.json --report=demo/pretrained.html",
        ]
    predictions = (machine.copy / "demo/predictions.tsv").read_text()
    assert predictions == "output of run.py --model=demo/models\n"
    assert out.endswith(f"{predictions}output of run.py --image=demo/cells\n")
    told = {line.split()[0] for line in lines[-6:]}
    made = {"train", "models", "cells", "predictions.tsv", "report.html", "pretrained.html"}
    assert told == {f"demo/{name}" for name in made}


def test_the_demo_does_not_touch_a_folder_of_somebody_else(machine):
    (machine.copy / "demo/mine").mkdir(parents=True)
    assert_failed(machine.run("demo"), "demo exists and was not made by setup.sh; move it away")
    assert os.listdir(machine.copy / "demo") == ["mine"]
    assert machine.calls() == []


def test_a_failing_step_of_the_demo_stops_it(machine):
    machine.set(status_of_malaria=1)
    assert machine.run("demo")[0] == 1
    assert machine.calls()[2:] == [DRAW]
