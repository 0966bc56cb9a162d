"""Tests of malaria/cli/inputs.py and malaria/data/listing.py: what --image may name."""

import io
import json
import os
from pathlib import Path

import pytest

from malaria.base.errors import UserError
from malaria.cli.command import run_script
from malaria.cli.inputs import Inputs
from malaria.cli.run import main
from malaria.data.drawn_cells import write_cells
from malaria.data.listing import Entry, Listing


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with drawn cells in `cells`, lists of them, and what does not belong there."""
    place = tmp_path_factory.mktemp("a place")
    paths = write_cells(place / "cells", 4, seed=1, patients=2)
    names = [str(path.relative_to(place)) for path in paths]
    (place / "list.txt").write_text("# cells\n" + "\n".join(names) + "\n\n")
    rows = [f"{name},{Path(name).parent.name},P{number % 3}" for number, name in enumerate(names)]
    (place / "list.csv").write_text("path,label,patient\n" + "\n".join(rows) + "\n")
    (place / "cells" / "__MACOSX").mkdir()
    for name in ("._C1_cell.png", "__MACOSX/a.png", "notes.txt"):
        (place / "cells" / name).write_bytes(b"not an image")
    return place


@pytest.fixture
def run(place, monkeypatch, capsys):
    """A function that does what run.py does in `place`: (exit status, stdout, stderr)."""

    def run(*arguments, stdin=""):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        return run_script(main, [*map(str, arguments)]), *capsys.readouterr()

    monkeypatch.chdir(place)
    return run


def rows_of(answer):
    status, out, err = answer
    assert status == 0, err
    return sorted(line.split("\t")[1:] for line in out.splitlines())


def test_a_folder_its_files_a_list_a_table_and_stdin_give_the_same_rows(run, place):
    cells = sorted(str(path) for path in place.glob("cells/[PU]*/*.png"))
    whole = rows_of(run("--image", "cells"))
    assert len(whole) == 8
    folders = ["cells/Parasitized", "cells/Uninfected"]
    for names in (cells, folders, ["@list.txt"], ["list.csv"], ["-"]):
        assert rows_of(run("--image", *names, stdin="\n".join(cells))) == whole


def test_what_is_passed_over_is_counted_once(run):
    _, _, said = run("--image", "cells", "--count_only")
    assert said.count("passed over, not images: 2 hidden, 1 .txt\n") == 1


def test_a_table_with_labels_is_evaluated_by_its_labels_and_patients(run, place):
    status, _, err = run("--image=list.csv", "--evaluate", "--count_only", "--metrics=m.json")
    assert status == 0, err
    metrics = json.loads((place / "m.json").read_text())
    assert metrics["images_by_label"] == {"Parasitized": 4, "Uninfected": 4}
    assert (metrics["intervals"]["resampled"], metrics["intervals"]["count"]) == ("patients", 3)


@pytest.mark.parametrize("names", [["list.txt"], ["cells/Parasitized", "cells/Uninfected"]])
def test_evaluating_what_tells_no_labels_is_refused(run, names):
    status, out, err = run("--image", *names, "--evaluate")
    assert out == ""
    assert "--evaluate: expected one folder with sub-folders" in err or status == 1


def test_the_paths_of_a_list_may_start_from_the_list_itself(run, place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(rows_of(run("--image", place / "list.csv"))) == 8


def test_an_image_of_a_list_that_is_not_there_is_a_row_with_the_reason(run):
    answer = run("--image", "-", stdin="cells/none.png\n")
    assert answer[:2] == (1, "cells/none.png\tunreadable\tno such file\n")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([""], "--image: expected an image, a folder or a list; received an empty name"),
        (["gone.png"], "--image: no file or folder gone.png"),
        (["@gone.txt"], "cannot read gone.txt: No such file or directory"),
        (["@empty.txt"], "no images are named in empty.txt: expected a path a line"),
        (["x.xlsx"], "x.xlsx: a spreadsheet, no text: save it as CSV (UTF-8)"),
        (["@pipe"], "cannot read pipe: not a regular file"),
    ],
)
def test_what_names_nothing_is_refused(tmp_path, monkeypatch, names, message):
    monkeypatch.chdir(tmp_path)
    Path("empty.txt").write_text("\n# nothing\n")
    Path("x.xlsx").touch()
    os.mkfifo("pipe")
    with pytest.raises(UserError) as caught:
        Inputs(names)
    assert str(caught.value) == message


def test_the_same_names_and_slice_are_the_same_inputs_however_they_are_spelled(place, monkeypatch):
    monkeypatch.chdir(place)
    same = Inputs(["cells"]).identity
    assert Inputs([str(place / "cells")]).identity == same
    assert Inputs(["cells/../cells/"]).identity == same
    assert Inputs(["cells"], (0, 3)).identity != same
    assert Inputs(["list.csv"]).identity != same


def test_a_formula_that_was_made_safe_is_the_name_it_was(tmp_path):
    (tmp_path / "a.csv").write_text("path,label\n'=1.png,'-x\n")
    [entry] = Listing(tmp_path / "a.csv")
    assert entry == Entry(Path("=1.png"), "-x", None)


def test_the_labels_of_every_list_are_checked_before_anything_is_evaluated(tmp_path):
    for name, label in (("a.csv", "ill"), ("b.csv", "other")):
        (tmp_path / name).write_text(f"path,label\nx.png,ill\ny.png,{label}\nz.png,\n")
    inputs = Inputs([str(tmp_path / name) for name in ("a.csv", "b.csv")])
    inputs.check_labels(["ill", "other", None])
    with pytest.raises(UserError, match=r"a\.csv, image 3: expected a label of .* none"):
        inputs.check_labels(["ill", "other"])
    with pytest.raises(UserError, match=r"b\.csv, image 2: expected a label of .* 'other'"):
        inputs.check_labels(["ill", None])


def test_names_that_are_no_utf8_come_through_stdin(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff.png\n")))
    assert list(Inputs(["-"]).paths()) == [Path(os.fsdecode(b"\xff.png"))]


def test_a_list_is_never_held_in_memory_unless_it_says_labels_or_patients(tmp_path):
    def held(text):
        (tmp_path / "a.csv").write_text(text)
        inputs = Inputs([str(tmp_path / "a.csv")])
        assert len(list(inputs.paths())) == 1000
        assert inputs.label_of(Path("0.png")) is inputs.patient_of(Path("1.png"))
        return len(inputs._known)

    rows = [f"{number}.png,x" for number in range(1000)]
    assert held("\n".join(["path,note", *rows])) == 0
    assert held("\n".join(["path,patient", *[f"{row[:-2]}," for row in rows]])) == 1000
