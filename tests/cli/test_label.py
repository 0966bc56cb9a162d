"""Tests of malaria/cli/label.py, python -m malaria label and run.py --label, in this process."""

import re
import urllib.request
import webbrowser
from pathlib import Path
from threading import Thread

import pytest

from malaria.base.errors import UsageError
from malaria.cli import label, main, run
from malaria.cli.command import run_script
from malaria.cli.options import parse as parse_run
from malaria.data.drawn_cells import write_cells, write_fields
from malaria.labelling.label_server import LabelServer
from malaria.labelling.label_session import Change
from malaria.labelling.label_table import read_labels


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The current folder, of a machine without a screen."""
    monkeypatch.chdir(tmp_path)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def served(monkeypatch):
    """The servers that were run: each labels its first two cells, and is ended with Ctrl-C."""
    servers = []

    def serve_forever(server):
        servers.append(server)
        server.session.apply([Change(n, None, "Parasitized") for n in range(2)])
        raise KeyboardInterrupt

    monkeypatch.setattr(LabelServer, "serve_forever", serve_forever)
    return servers


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "expected fields or cells to label, or --join; see python -m malaria label --help"),
        (["f", "--join", "a.csv", "b.csv"], "expected fields or cells to label, or --join"),
        (["f", "--fields", "--single_cells"], "--fields does not go with --single_cells"),
        (["f", "--output=a.json"], "--output: expected a .csv; received a.json"),
        (["--join", "a.csv", "b.csv"], "--join writes a new table; add --output FILE.csv"),
        (["f", "--count=0"], "--count: expected at least 1 cell; received 0"),
        (["f", "--count=-3"], "expected a whole number from 0 to 1,000,000; received -3"),
        (["f", "--boxes=b.csv"], "--boxes tells the cells of --fields; add --fields"),
        (["f", "--report=a.html"], "--report does not go with --label; leave one of them out"),
        (["f", "--image", "i"], "--image does not go with --label"),
        (["f", "--model", "a", "b"], "--label goes with one --model; received 2"),
    ],
)
def test_options_that_do_not_go_together_are_refused_in_one_line(arguments, told):
    with pytest.raises(UsageError) as caught:
        label.parse(arguments)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_paths_may_come_before_or_after_options_and_run_py_knows_them_too():
    for arguments in (["f", "g", "--count=3"], ["--count=3", "f", "g"], ["--label", "f", "g"]):
        assert label.parse(arguments).label == ["f", "g"]
    assert parse_run(["--label", "f"]).label == ["f"]


def test_cells_are_told_from_fields_classified_and_labelled(place, served, capsys):
    write_cells("cells", 3)
    arguments = ["--label", "cells", "--who=Ana", "--count=4"]
    assert run_script(run.main, arguments) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "the images are taken for single cells (else add --fields)\n" in err
    address = re.search(r"label the cells at (http://127\.0\.0\.1:\d+/\S{32}/) \(Ctrl-C ends", err)
    assert address[1] == served[0].address
    assert err.endswith("\n2 of 4 cells labelled: labels.csv\n")
    rows = list(read_labels(Path("labels.csv")).values())
    assert [(row.box, row.who, row.label) for row in rows] == [(None, "Ana", "Parasitized")] * 2
    assert {row.patient for row in rows} <= {"1", "2", "3"}

    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(served[0].address, timeout=5)


def test_the_cells_of_fields_have_their_box_and_what_has_none_is_told(place, served, capsys):
    write_fields("fields", 1)
    Path("fields/broken.png").write_bytes(b"nothing")
    assert run_script(main.main, ["label", "fields", "--output=own/l.csv", "--count=6"]) == 0
    _, err = capsys.readouterr()
    assert "the images are taken for whole fields (else add --single_cells)\n" in err
    assert re.search(r"\n1 images? ha(s|ve) no cells to label, as fields/broken.png: ", err)
    assert served[0].notes[-1].startswith("1 image has no cells")
    rows = list(read_labels(Path("own/l.csv")).values())
    assert all(row.box is not None and row.path.is_file() for row in rows)
    text = Path("own/l.csv").read_text("utf-8-sig").splitlines()[1]
    assert text.startswith(str(place / "fields"))

    # A table of cells with boxes names cells too.
    assert run_script(main.main, ["label", "own/l.csv", "--output=own/l.csv"]) == 0
    _, err = capsys.readouterr()
    assert "own/l.csv has 2 labels already: going on" in err
    assert len(served[1].session.chosen) == 2


def test_where_there_is_no_cell_that_is_one_line(place, served, capsys):
    Path("broken.png").write_bytes(b"nothing")
    assert run_script(main.main, ["label", "broken.png"]) == 1
    _, err = capsys.readouterr()
    assert re.search(r"\nerror: no cells to label: 1 image has no cells to label, as broken", err)
    assert not served
    assert not Path("labels.csv").exists()


def test_two_tables_are_joined_and_their_agreement_is_told(place, served, capsys):
    write_cells("cells", 3)
    for who in ("ana", "ben"):
        arguments = ["cells", "--single_cells", f"--who={who}", f"--output={who}.csv"]
        assert run_script(label.main, arguments) == 0
    joined = ["--join", "ana.csv", "ben.csv", "--output=both.csv"]
    capsys.readouterr()
    assert run_script(label.main, joined) == 0
    out, _ = capsys.readouterr()
    assert out.startswith("2 cells in both.csv\n2 cells were labelled by both, and 0 of them diff")
    assert {row.who for row in read_labels(Path("both.csv")).values()} == {"ana and ben"}


@pytest.mark.parametrize("opens", [True, False])
def test_the_browser_is_opened_where_there_is_a_screen(place, monkeypatch, served, opens):
    write_cells("cells", 3)
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setenv("DISPLAY", ":0")
    label.main(["cells", "--single_cells", *([] if opens else ["--no_browser"])])
    assert opened == [served[0].address] * opens


def test_a_server_that_is_closed_answers_no_more_and_keeps_what_is_being_written(place, served):
    write_cells("cells", 3)
    label.main(["cells", "--single_cells"])
    late = Thread(
        target=served[0].session.apply, args=([Change(3, None, "Uninfected")],), daemon=True
    )
    late.start()
    late.join(0.2)
    assert len(read_labels(Path("labels.csv"))) == 2
