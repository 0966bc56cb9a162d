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
    assert "expected folders with sub-folders named as" in err or "expected sub-folders of" in err
    assert status == 1


def test_the_paths_of_a_list_may_start_from_the_list_itself(run, place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(rows_of(run("--image", place / "list.csv"))) == 8


def test_an_image_of_a_list_that_is_not_there_is_a_row_with_the_reason(run):
    answer = run("--image", "-", stdin="cells/none.png\n")
    assert answer[:2] == (1, "cells/none.png\tunreadable\tno such file\n")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([""], "--image: expected an image, folder or list; received an empty name"),
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
    for option in ("--image", "--label"):
        with pytest.raises(UserError) as caught:
            Inputs(names, option=option)
        assert str(caught.value) == message.replace("--image", option)


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


def written(folder, name, *rows, header="path,label,patient"):
    (folder / name).write_text("\n".join([header, *rows]) + "\n")
    return str(folder / name)


def test_labels_that_are_none_of_the_models_are_refused_unless_others_are_there(tmp_path):
    names = [
        written(tmp_path, "a.csv", "x.png,ill", "y.png,"),
        written(tmp_path, "b.csv", "z.png,?"),
    ]
    inputs = Inputs(names)
    inputs.check_labels(["ill", "well"])
    for labels, found in (
        (
            ["1", "0"],
            r"labels of \['1', '0'\] in the tables; found 'ill' \(1 rows\), '\?'",
        ),
        (["Ill", "?"], "; did you mean Ill\\?$"),
    ):
        with pytest.raises(UserError, match=found):
            inputs.check_labels(labels)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["a.png,A", "./a.png,B"], "a.csv: {}/a.png is listed under two labels, 'A' and 'B'"),
        (["a.png,A", "link.png,B"], "a.csv: {}/link.png is listed under two labels, 'A' and 'B'"),
        (["a.png,A,1", "a.png,A,2"], "a.csv: {}/a.png is listed under two patients, '1' and '2'"),
        (["cells/A/b.png,B"], "a.csv: {}/cells/A/b.png is listed under 'B', and lies under 'A'"),
    ],
)
def test_an_image_under_two_labels_or_patients_is_refused(tmp_path, rows, message):
    (tmp_path / "cells" / "A").mkdir(parents=True)
    for name in ("a.png", "cells/A/b.png"):
        (tmp_path / name).touch()
    (tmp_path / "link.png").symlink_to("a.png")
    names = [written(tmp_path, "a.csv", *rows), str(tmp_path / "cells")]
    with pytest.raises(UserError) as caught:
        Inputs(names).check_labels(["A", "B"])
    assert message.format(tmp_path) in str(caught.value)


def test_an_image_under_two_labels_of_two_tables_is_refused(tmp_path):
    names = [written(tmp_path, "a.csv", "a.png,A"), written(tmp_path, "b.csv", "a.png,B")]
    with pytest.raises(UserError, match=r"b.csv: a.png is listed under two labels, 'A' and 'B'"):
        Inputs(names).check_labels(["A", "B"])


def test_rows_without_a_label_are_left_out_of_the_metrics_and_counted(run, place):
    rows = (place / "list.csv").read_text().splitlines()
    cells = [row.split(",")[0] for row in rows[1:]]
    some = [f"{rows[1]}", f"{cells[1]},Unsure,1", f"{cells[2]},,1", *rows[5:]]
    written(place, "some.csv", *some)
    status, _, err = run("--image=some.csv", "--evaluate", "--count_only", "--metrics=some.json")
    assert status == 0, err
    metrics = json.loads((place / "some.json").read_text())
    assert metrics["images_by_label"] == {"Parasitized": 1, "Uninfected": 4}
    assert metrics["notes"] == [
        "not in the metrics: Unsure, 1 image: not among the labels",
        "not in the metrics: 1 image without a label, in no folder or row that tells one",
    ]
    assert all(note in err for note in metrics["notes"])


def test_a_folder_beside_those_of_the_labels_is_counted_and_folders_and_tables_go_together(
    run, place, tmp_path
):
    write_cells(tmp_path, 2, seed=2)
    (tmp_path / "Unsure").mkdir()
    (tmp_path / "Unsure" / "a.png").symlink_to(place / "cells" / "Parasitized" / "gone.png")
    known = ["--evaluate", "--count_only", f"--metrics={tmp_path / 'm.json'}"]
    assert run("--image", "list.csv", tmp_path, "cells", *known)[0] == 1  # a.png is unreadable
    metrics = json.loads((tmp_path / "m.json").read_text())
    assert metrics["images_by_label"] == {"Parasitized": 6, "Uninfected": 6}
    assert metrics["notes"][1:] == [
        "named again, and counted once: 8 images",
        "not in the metrics: Unsure, 1 image: not among the labels",
    ]


def test_an_image_is_classified_once_however_often_and_by_whatever_name_it_comes(run, place):
    first, second, *_ = sorted(place.glob("cells/Parasitized/*.png"))
    link = place / "link.png"
    link.symlink_to(first)
    names = ["cells/Parasitized", first, f"./{first.relative_to(place)}", link, "@list.txt", "-"]
    stdin = f"{second}\n{place}/cells/../cells/Parasitized/{second.name}\n"
    status, out, err = run("--image", *names, stdin=stdin)
    link.unlink()
    assert (status, len(out.splitlines())) == (0, 8)
    assert "named again, and counted once: 9 images\n" in err


def test_a_slice_is_of_images_that_differ(place, monkeypatch):
    monkeypatch.chdir(place)
    whole = list(Inputs(["@list.txt", "cells", "list.csv"]).paths())
    assert len(whole) == 8
    for start in (0, 3, 6):
        some = Inputs(["@list.txt", "@list.txt"], (start, start + 3)).paths()
        assert list(some) == whole[start : start + 3]


def test_one_folder_pays_nothing_for_doubles_that_it_cannot_have(place, monkeypatch):
    monkeypatch.setattr("malaria.cli.inputs.Seen", None)
    monkeypatch.setattr("malaria.cli.inputs.file_number", None)
    assert len(list(Inputs([str(place / "cells")]).paths())) == 8


def test_a_list_in_a_list_and_one_of_itself_are_rows_with_the_reason(run, place):
    for name, inside in (("loop.txt", "loop.txt"), ("outer.txt", "list.csv")):
        (place / name).write_text(f"{inside}\n")
        status, out, _ = run("--image", f"@{name}")
        assert status == 1
        assert out.startswith(f"{inside}\tunreadable\t")
        assert len(out.splitlines()) == 1


def test_stdin_without_line_ends_is_refused_before_it_fills_the_memory(monkeypatch):
    class Endless(io.RawIOBase):
        def readable(self):
            return True

        def readinto(self, buffer):
            buffer[:] = b"x" * len(buffer)
            return len(buffer)

    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(Endless())))
    with pytest.raises(UserError, match="stdin: a line of 65,536 characters or more"):
        Inputs(["-"])


def test_names_that_are_no_utf8_come_through_stdin(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff.png\n")))
    assert list(Inputs(["-"]).paths()) == [Path(os.fsdecode(b"\xff.png"))]


def test_a_list_is_never_held_in_memory_unless_it_says_labels_or_patients(tmp_path):
    def held(text):
        (tmp_path / "a.csv").write_text(text)
        inputs = Inputs([str(tmp_path / "a.csv")])
        assert len(list(inputs.paths())) == 1000
        assert inputs.label_of(Path("0.png")) is inputs.patient_of(Path("1.png"))
        return len(inputs._known) if inputs._tables else 0

    rows = [f"{number}.png,x" for number in range(1000)]
    assert held("\n".join(["path,note", *rows])) == 0
    assert held("\n".join(["path,patient", *[f"{row[:-2]}," for row in rows]])) == 1000
