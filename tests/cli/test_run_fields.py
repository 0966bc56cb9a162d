"""run.py --fields from the shell: what it leaves, and wrong use of it."""

import csv
import json

import pytest
from test_scripts import run

from malaria.cli.run import main


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


def test_fields_become_rows_tables_cells_and_a_page(slides, tmp_path):
    out, page, cells = tmp_path / "out.json", tmp_path / "page.html", tmp_path / "cells"
    arguments = ("--fields", f"--image={slides}", f"--output={out}")
    result = run("run.py", *arguments, f"--report={page}", f"--cells={cells}")
    # One field has no cells: something could not be done.
    assert result.returncode == 1, result.stderr
    rows = json.loads(out.read_text())
    found = [row for row in rows if row["error"] is None]
    assert 55 <= len(found) <= 62
    assert [row["path"] for row in rows if row["error"]] == [str(slides / "C2 empty.png")]
    lines = result.stdout.splitlines()
    assert len(lines) == len(rows)
    left, top, width, height = found[0]["box"]
    assert lines[0].split("\t")[:2] == [found[0]["path"], f"{left},{top},{width},{height}"]
    table = json.loads((tmp_path / "out_fields.json").read_text())
    assert [row["level"] for row in table] == ["field"] * 4 + ["patient"] * 2 + ["all"]
    assert table[-1]["red cells"] + table[-1]["unlike"] == len(found)
    assert "passed over, not images: 1 .txt" in result.stderr
    assert len(list(cells.rglob("*.png"))) == len(found)
    assert page.read_text().count('class="whole-field"') == 3


def test_resumed_rows_are_those_of_one_run(slides, tmp_path, capsys):
    whole, resumed = tmp_path / "whole.csv", tmp_path / "resumed.csv"
    known = ["--fields", f"--image={slides}"]
    main([*known, f"--output={whole}"])
    main([*known, f"--output={resumed}"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[: len(lines) // 2] == lines[len(lines) // 2 :]
    assert whole.read_text() == resumed.read_text()
    with open(whole, newline="") as file:
        assert {"left", "top", "width", "height"} <= set(next(csv.DictReader(file)))


def test_a_cell_as_a_field_is_told_to_leave_the_option_out(slides, tmp_path, capsys, draw_field):
    field, boxes = draw_field()
    left, top, width, height, _ = boxes[0]
    field.crop((left - 5, top - 5, left + width + 5, top + height + 5)).save(tmp_path / "c.png")
    assert main(["--fields", f"--image={tmp_path / 'c.png'}"]) == 1
    assert capsys.readouterr().out.endswith(
        "c.png\tunreadable\ta single cell, no field: leave out --fields\n"
    )
