"""Tests of malaria/cli/run.py, its --fields and its --calibrate, within this process."""

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from malaria.base.errors import UserError
from malaria.cli import calibrate
from malaria.cli.command import run_script
from malaria.cli.run import main
from malaria.data.drawn_cells import write_cells as draw_cells
from malaria.inference.load_classifier import load_classifier
from malaria.labelling.label_table import LabelRow, write_labels


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
     "explain=file/maps", "save=file/a.h5", "output=folder/a.csv", "report=folder/a.html",
     "plot=folder/a.png", "metrics=folder/a.json"],
)  # fmt: skip
def test_what_could_not_be_written_in_the_end_is_refused_before_any_work(place, capsys, option):
    more = ["--evaluate"] if "metrics" in option else []
    written = option.partition("=")[2]
    if "folder/" in written:
        Path(written).mkdir(parents=True)
    assert run_script(main, ["--image=cells", f"--{option}", *more]) == 1
    out, err = capsys.readouterr()
    written = written.replace("file/maps", "file/maps/overlay.png")
    assert out == ""
    assert re.fullmatch(rf"error: cannot (write|save) .*{re.escape(written)}.*\n", err)
    assert Path("file").read_text() == "mine"
    assert "folder/" not in written or Path(written).is_dir()


@pytest.mark.parametrize("ending", [".h5", ".json", ".tflite"])
@pytest.mark.parametrize("command", ["image", "calibrate"])
def test_a_model_that_is_there_is_refused_before_any_work(place, capsys, command, ending):
    Path(f"own{ending}").write_text("mine")
    assert run_script(main, [f"--{command}=cells", "--save=own.h5"]) == 1
    expected = f"error: own{ending} exists already: move it away or choose another name\n"
    assert capsys.readouterr() == ("", expected)
    assert Path(f"own{ending}").read_text() == "mine"


def test_cells_under_two_labels_are_nothing_to_calibrate_to(place, capsys):
    first = sorted(Path("cells/Parasitized").iterdir())[0]
    Path("cells/Uninfected/copy.png").write_bytes(first.read_bytes())
    assert run_script(main, ["--calibrate=cells", "--save=own.h5"]) == 1
    told = "error: --calibrate: 2 files hold images that lie under two labels, as "
    assert told in capsys.readouterr().err
    assert not Path("own.h5").exists()


def test_pictures_without_an_overlay_are_a_failure(place, capsys):
    overlay = Path("maps/Uninfected/C1P1thinF_IMG_cell_0.png.gradcam.png")
    overlay.mkdir(parents=True)  # root may write anywhere, but not over a folder
    assert run_script(main, ["--image=cells", "--explain=maps"]) == 1
    out, err = capsys.readouterr()
    assert out.count("\n") == 4
    assert err.count("no overlay of ") == 1


def test_grey_cells_are_told_in_rows_and_once_in_each_output(place, capsys):
    for path in Path("cells/Parasitized").iterdir():
        Image.open(path).convert("L").save(path)
    asked = ["--image=cells", "--evaluate", "--output=a.jsonl", "--report=a.html", "--resume"]
    assert run_script(main, asked) == 0
    line = "2 of 4 images are grey, and this model learnt colours: on such cells it misses more"
    assert capsys.readouterr().err.count(line) == 1
    assert line in Path("a.html").read_text()
    assert any(
        note.startswith(line) for note in json.loads(Path("metrics.json").read_text())["notes"]
    )
    notes = [json.loads(row)["note"] for row in Path("a.jsonl").read_text().splitlines()]
    assert notes == ["grey: this model learnt colours"] * 2 + [None] * 2


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


@pytest.fixture
def slides(tmp_path, draw_field):
    """Three fields of two patients, one that is empty, and a note."""
    folder = tmp_path / "my slides"
    folder.mkdir()
    for number, name in enumerate(("C1 a.png", "C1 b.png", "C2 a.png")):
        field, _ = draw_field(rows=4, columns=5, seed=number, parasitized=(3, 8, 11))
        field.save(folder / name)
    field.crop((0, 0, 1, 1)).resize((600, 500)).save(folder / "C2 empty.png")
    (folder / "notes.txt").write_text("not for us")
    return folder


def test_fields_become_rows_tables_cells_and_a_page(slides, tmp_path, capsys):
    out, page, cells = tmp_path / "out.json", tmp_path / "page.html", tmp_path / "cells"
    arguments = ["--fields", f"--image={slides}", f"--output={out}"]
    # One field has no cells: something could not be done.
    assert main([*arguments, f"--report={page}", f"--cells={cells}"]) == 1
    said = capsys.readouterr()
    rows = json.loads(out.read_text())
    found = [row for row in rows if row["error"] is None]
    assert 55 <= len(found) <= 62
    assert [row["path"] for row in rows if row["error"]] == [str(slides / "C2 empty.png")]
    lines = said.out.splitlines()
    assert len(lines) == len(rows)
    left, top, width, height = found[0]["box"]
    assert lines[0].split("\t")[:2] == [found[0]["path"], f"{left},{top},{width},{height}"]
    table = json.loads((tmp_path / "out_fields.json").read_text())
    assert [row["level"] for row in table] == ["patient"] * 2 + ["field"] * 4 + ["all"]
    assert table[-1]["red cells"] + table[-1]["unlike"] == len(found)
    assert "passed over, not images: 1 .txt" in said.err
    assert len(list(cells.rglob("*.png"))) == len(found)
    assert page.read_text().count('class="whole-field"') == 3
    # A second run gives the same rows.
    main([*arguments[:2], f"--output={tmp_path / 'again.json'}"])
    assert capsys.readouterr().out == said.out
    assert (tmp_path / "again.json").read_text() == out.read_text()


def test_boxes_that_were_written_are_read_in_place_of_finding_cells(slides, tmp_path, capsys):
    (slides / "C2 empty.png").unlink()
    path = tmp_path / "a.geojson"
    assert main(["--fields", f"--image={slides}", f"--output={path}"]) == 0
    rows = capsys.readouterr().out
    assert main(["--fields", f"--image={slides}", f"--boxes={path}"]) == 0
    assert capsys.readouterr().out == rows
    assert len(list((tmp_path / "a_fields").iterdir())) == 3
    table = json.loads((tmp_path / "a_fields.json").read_text())
    assert [row["level"] for row in table] == ["patient"] * 2 + ["field"] * 3 + ["all"]
    # A row for a field that the boxes do not name; one that is not there is no field.
    path = tmp_path / "some.csv"
    path.write_text("path,left,top,width,height\nC1 a.png,0,0,50,60\nC9.png,0,0,50,60\n")
    assert main(["--fields", f"--image={slides}", f"--boxes={path}"]) == 1
    said = capsys.readouterr()
    assert [line.split("\t")[1:3] for line in said.out.splitlines()][1:] == [
        ["unreadable", f"not in {path}"]
    ] * 2
    assert "C1 a.png\t0,0,50,60\t" in said.out
    assert f"{path}: 1 of its 2 annotated images are not among the fields\n" in said.err


def test_annotations_judge_what_is_found(tmp_path, capsys, draw_field):
    (tmp_path / "slides").mkdir()
    truth = []
    for number, name in enumerate(("C1 a.png", "C1 b.png", "C2 a.png", "C3 a.png")):
        field, cells = draw_field(rows=4, columns=5, seed=number, parasitized=(3, 8, 11))
        field.save(tmp_path / "slides" / name)
        things = [
            dict(zip("xywh", sides, strict=True)) | {"label": "ring" if is_sick else "rbc"}
            for *sides, is_sick in cells
        ]
        truth.append({"image": name, "objects": things})
    (tmp_path / "truth.json").write_text(json.dumps(truth[:3]))
    path = tmp_path / "out" / "m.json"
    arguments = [f"--image={tmp_path / 'slides'}", f"--boxes={tmp_path / 'truth.json'}"]
    assert main(["--fields", "--evaluate", *arguments, f"--metrics={path}"]) == 0
    told = json.loads(path.read_text())
    assert told["left_out"] == {"not annotated": 1}
    assert (told["fields"], told["recall"]["of"]) == (3, 60)
    assert told["recall"]["value"] > 0.9
    assert told["cells"]["parasitized"]["annotated"] == 9
    assert [each["count"] for each in told["parasitaemia"].values()] == [3, 2]
    assert [one["patient"] for one in told["by_field"]] == ["1", "1", "2"]
    said = capsys.readouterr()
    assert f"3 fields compared with {tmp_path / 'truth.json'}\n" in said.err
    assert len(said.out.splitlines()) > 70


def test_a_cell_as_a_field_is_told_to_leave_the_option_out(slides, tmp_path, capsys, draw_field):
    field, boxes = draw_field()
    left, top, width, height, _ = boxes[0]
    field.crop((left - 5, top - 5, left + width + 5, top + height + 5)).save(tmp_path / "c.png")
    assert main(["--fields", f"--image={tmp_path / 'c.png'}"]) == 1
    assert capsys.readouterr().out.endswith(
        "c.png\tunreadable\ta single cell, no field: leave out --fields\n"
    )


def test_a_folder_of_labelled_cells_makes_a_new_pair_that_decides_by_its_threshold(
    tmp_path, capsys
):
    draw_cells(tmp_path / "cells", 60, seed=1, patients=6)
    known = [f"--calibrate={tmp_path / 'cells'}", f"--save={tmp_path / 'own.h5'}"]
    assert main([*known, "--threshold=sensitivity>=0.9"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("120 images: threshold ")
    assert "after, by patients" in captured.out
    own, pretrained = load_classifier(tmp_path / "own.h5"), load_classifier()
    assert own.metadata.temperature != pretrained.metadata.temperature
    record = json.loads((tmp_path / "own.json").read_text())["malaria"]
    assert record["calibration"]["images"] == 120
    assert record["calibration"]["after"]["accuracy"]["value"] > 0.5
    # What is known of its training stays with it.
    assert record["config"] == pretrained.metadata.details["config"]
    with pytest.raises(UserError, match="exists already"):
        main(known)


def test_a_table_calibrates_and_what_it_passes_over_is_told(tmp_path, capsys, monkeypatch):
    def told(model, predictions):
        return [f"{len(predictions)} of {model.name}"]

    monkeypatch.setattr(calibrate, "save_as_pair", lambda classifier, path: None)
    monkeypatch.setattr(calibrate, "suggest", told)
    paths = draw_cells(tmp_path / "cells", 60, seed=1, patients=6)
    Image.open(paths[0]).convert("L").save(paths[0])  # one is drawn so
    rows = [f"{path.relative_to(tmp_path)};{path.parent.name}" for path in paths]
    lines = ["File;Class", *rows, rows[0], f"{rows[1].partition(';')[0]};", "gone.png;Unsure"]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    assert main([f"--calibrate={tmp_path / 'a.csv'}", f"--save={tmp_path / 'own.h5'}"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("120 images: threshold ")
    assert "named again, and counted once: 2 images\n" in captured.err
    # One may be no cell to the guard.
    assert re.search("[12] of 120 images are grey, and this model learnt colours", captured.err)
    assert "\n120 of compact\n" in captured.err
    assert "not in the metrics: Unsure, 1 image: not among the labels\n" in captured.err


def test_what_label_wrote_calibrates_by_its_random_half_each_cell_for_those_it_stands_for(
    tmp_path, capsys, monkeypatch
):
    saved = []
    monkeypatch.setattr(
        calibrate, "save_as_pair", lambda classifier, path: saved.append(classifier)
    )
    paths = draw_cells(tmp_path / "cells", 40, seed=1, patients=6)
    known = {"box": None, "patient": None, "who": "a", "when": "b", "probability": 0.5}
    rows = [
        LabelRow(path, label=label, why=why, called=label, stands_for=times, **known)
        for place, path in enumerate(paths)
        for label in [path.parent.name]
        for why in ["random" if place % 40 < 30 else "doubt"]
        # One parasitized cell for 9 others.
        for times in [(1 if label == "Parasitized" else 9) if why == "random" else None]
    ]
    write_labels(tmp_path / "labels.csv", rows)
    assert main([f"--calibrate={tmp_path / 'labels.csv'}", f"--save={tmp_path / 'own.h5'}"]) == 0
    [model] = saved
    record = model.metadata.details["calibration"]
    assert record["images"] <= 60
    assert record["cross_fitted_by"] == "patients"
    assert "of 80 cells measure the model: random, labelled" in capsys.readouterr().err


def test_too_few_cells_leave_nothing_behind(tmp_path):
    draw_cells(tmp_path / "cells", 20, seed=1)
    with pytest.raises(UserError, match="at least 50 labelled cells; received 40"):
        main([f"--calibrate={tmp_path / 'cells'}", f"--save={tmp_path / 'own.h5'}"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cells"]
