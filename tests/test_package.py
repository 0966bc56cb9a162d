"""The package: what pyproject.toml says, and what a wheel that was built from it can do."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import malaria
from malaria.cli.command import run_script
from malaria.cli.main import main
from malaria.data.drawn_cells import write_cells

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli", reason="Python 3.10 has no tomllib")

TOP = Path(__file__).parents[1]
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def requirements_in(name):
    lines = (TOP / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith(("#", "-r"))]


def test_the_requirements_are_the_dependencies_of_the_package():
    [tensorflow, *others] = PROJECT["dependencies"]
    assert requirements_in("requirements-common.txt") == others
    extras = PROJECT["optional-dependencies"]
    for name in ("gpu", "cluster"):
        assert requirements_in(f"requirements-{name}.txt") == extras[name]
    assert set(requirements_in("requirements-dev.txt")) >= {
        *extras["remote"],
        *extras["formats"],
    }
    for name in ("requirements.txt", "requirements-gpu.txt"):
        lines = (TOP / name).read_text(encoding="utf-8").splitlines()
        assert lines[-1] == "-r requirements-common.txt"
    # On Linux the plain package brings CUDA's kernels with it; the CPU build is a third as large.
    cpu_build, plain = requirements_in("requirements.txt")
    assert cpu_build.partition(";")[0] == tensorflow.replace("tensorflow", "tensorflow-cpu")
    assert plain.partition(";")[0] == tensorflow


def test_the_version_is_the_newest_of_the_changelog_and_that_of_the_citation():
    headings = re.findall(r"^## (.*)$", (TOP / "CHANGELOG.md").read_text(), re.MULTILINE)
    newest = re.fullmatch(r"(\d+\.\d+\.\d+) \((\d{4}-\d{2}-\d{2})\)", headings[0])
    assert newest, headings[0]
    assert newest[1] == malaria.__version__
    citation = (TOP / "CITATION.cff").read_text(encoding="utf-8")
    assert f"version: {newest[1]}\ndate-released: {newest[2]}\n" in citation


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The paths of a wheel and an sdist, as `python -m build` makes them."""
    place = tmp_path_factory.mktemp("build")
    source = place / "source"
    source.mkdir()
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=TOP, capture_output=True, check=True,
    )  # fmt: skip
    for name in filter(None, os.fsdecode(listed.stdout).split("\0")):
        if (TOP / name).is_file() and not name.startswith("pretrained/vgg"):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(TOP / name, source / name)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", place, source]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    [wheel], [sdist] = place.glob("*.whl"), place.glob("*.tar.gz")
    return wheel, sdist


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    place = tmp_path_factory.mktemp("installed")
    shutil.unpack_archive(built[0], place, "zip")
    return place


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    folder = tmp_path_factory.mktemp("elsewhere") / "my cells"
    write_cells(folder, 4, seed=1, patients=2)
    return folder


def run(installed, *arguments, folder):
    """What Python prints with the installed package, and without the checkout."""
    result = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(installed)},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_wheel_has_the_package_its_data_and_nothing_else(built):
    names = zipfile.ZipFile(built[0]).namelist()
    info = f"malaria-{malaria.__version__}.dist-info"
    assert {name.partition("/")[0] for name in names} == {"malaria", info}
    data = [f"outputs/html_report.{ending}" for ending in ("html", "css", "js")]
    for name in ("compact", "detector"):
        data += [f"pretrained/{name}.{ending}" for ending in ("h5", "json", "tflite")]
    assert {f"malaria/{name}" for name in ("py.typed", *data)} <= set(names)
    sources = {path.relative_to(TOP).as_posix() for path in (TOP / "malaria").rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == sources


def test_the_sdist_has_the_sources_and_no_data_set(built):
    with tarfile.open(built[1]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "train.py", "pretrained/compact.h5"} <= names
    assert not [name for name in names if name.startswith(("cell_images", ".venv"))]


def test_the_commands_of_the_wheel_are_there_and_tell_the_version(installed, cells):
    entries = next(installed.glob("*.dist-info/entry_points.txt")).read_text()
    assert re.findall(r"^(malaria-\w+) = (\S+)$", entries, re.MULTILINE) == [
        ("malaria-classify", "malaria.cli.main:classify"),
        ("malaria-train", "malaria.cli.main:train"),
    ]
    for arguments in (["-m", "malaria", "--version"], ["-m", "malaria", "classify", "--version"]):
        assert run(installed, *arguments, folder=cells) == f"malaria {malaria.__version__}\n"


def test_the_wheel_classifies_a_folder_with_its_own_pretrained_pair(installed, cells):
    output = cells.parent / "a.json"
    arguments = ["-m", "malaria", "classify", f"--image={cells}", f"--output={output}"]
    run(installed, *arguments, f"--report={cells.parent / 'a.html'}", folder=cells.parent)
    rows = json.loads(output.read_text(encoding="utf-8"))
    assert [Path(row["path"]).parent.name == row["label"] for row in rows] == [True] * 8


def test_the_wheel_answers_the_same_in_python(installed, cells):
    code = (
        "import malaria\n"
        f"assert malaria.__file__.startswith({str(installed)!r})\n"
        f"for one in malaria.load_classifier().classify({str(cells)!r}): print(one.probability)\n"
    )
    told = [float(line) for line in run(installed, "-c", code, folder=cells.parent).split()]
    assert told == [one.probability for one in malaria.load_classifier().classify(cells)]


def test_the_wheel_trains(installed, cells):
    config = cells.parent / "config.yaml"
    config.write_text(
        "train_images: my cells\nmodel: compact\nimage_size: [16, 16]\nepochs: 1\ntest_size: 0.5\n"
        "plot_training_data: false\nguard: false\n"
    )
    run(installed, "-m", "malaria", "train", folder=cells.parent)
    assert len(list(cells.parent.glob("models/*.h5"))) == 1


def test_an_unknown_command_is_told_the_known_ones(capsys):
    assert run_script(main, ["clasify"]) == 2
    assert capsys.readouterr().err == (
        "error: expected one of train, classify, label, draw, unpack, doctor; received 'clasify'; "
        "see python -m malaria --help\n"
    )
