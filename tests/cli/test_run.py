"""Tests of malaria/cli/run.py, within this process."""

import json
from pathlib import Path

import pytest

from malaria.cli.command import run_script
from malaria.cli.run import main


@pytest.fixture
def place(write_cells, tmp_path, monkeypatch):
    """The current folder, with cells and a file in which no folder can be made."""
    write_cells(count=1)
    (tmp_path / "file").write_text("mine")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "option",
    ["output=file/a.csv", "report=file/a.html", "plot=file/a.png", "metrics=file/a.json",
     "explain=file/maps", "save=file/a.h5"],
)  # fmt: skip
def test_what_could_not_be_written_in_the_end_is_refused_before_any_work(place, capsys, option):
    more = ["--evaluate"] if "metrics" in option else []
    assert run_script(main, ["--image=cells", f"--{option}", *more]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(("error: cannot write ", "error: cannot save "))
    written = option.partition("=")[2]
    assert {"file/maps": "file/maps/overlay.png"}.get(written, written) in err
    assert err.count("\n") == 1
    assert Path("file").read_text() == "mine"


@pytest.mark.parametrize(
    "option", ["report=a.html", "plot=a.png", "output=a.csv", "metrics=a.json"]
)
def test_a_folder_is_not_replaced_by_a_file(place, capsys, option):
    folder = Path(option.partition("=")[2])
    folder.mkdir()
    more = ["--evaluate"] if "metrics" in option else []
    assert run_script(main, ["--image=cells", f"--{option}", *more]) == 1
    assert capsys.readouterr().out == ""
    assert folder.is_dir()


def test_pictures_without_an_overlay_are_a_failure(place, capsys):
    overlay = Path("maps/Uninfected/C1P1thinF_IMG_cell_0.png.gradcam.png")
    overlay.mkdir(parents=True)  # root may write anywhere, but not over a folder
    assert run_script(main, ["--image=cells", "--explain=maps"]) == 1
    out, err = capsys.readouterr()
    assert out.count("\n") == 4
    assert err.count("no overlay of ") == 1


def test_a_table_by_folder_leaves_the_intervals_of_an_evaluation_by_patient(place, capsys):
    # The sub-folders are the labels; as patients they would make every interval nonsense.
    metrics = []
    for option in ([], ["--group_by=folder"]):
        assert run_script(main, ["--image=cells", "--evaluate", *option]) == 0
        metrics.append(json.loads(Path("metrics.json").read_text(encoding="utf-8")))
    by_patient, by_folder = metrics
    assert by_folder["intervals"] == by_patient["intervals"]
    assert by_folder["intervals"]["resampled"] == "patients"
    assert by_folder["metrics"] == by_patient["metrics"]
