"""Tests of malaria/outputs/formats.py."""

import csv
import io
import json

from malaria.outputs.formats import FORMATS

LABELS = ("Parasitized", "=Uninfected")
HEADER = ["path", "label", "probability", *(f"probability of {name}" for name in LABELS)]
HEADER += ["unlike", "error"]
HOSTILE = ["=1+1.png", "-2.png", "+3.png", "@x.png", "a\nb.png", 'a",b.png', "\tc.png", "größe.png"]


def make_row(path, label=None, probability=None, probabilities=None, error=None, unlike=None):
    known = dict(zip(LABELS, probabilities, strict=True)) if probabilities else None
    row = {"path": path, "label": label, "probability": probability, "probabilities": known}
    return row | {"unlike": unlike, "error": error}


ROWS = [
    *(make_row(name, LABELS[0], 0.75, (0.75, 0.25)) for name in HOSTILE),
    make_row("cells/b.png", LABELS[1], 0.6, (0.4, 0.6)),
    make_row("c.png", error="=damaged\nhere"),
    make_row("d.png", "review", 0.45, (0.45, 0.55)),
    make_row("e.png", "unlike", 0.9, (0.9, 0.1), unlike="several cells or a whole field"),
]


def text_of(suffix, rows):
    """What is written of rows that come one by one."""
    file = io.StringIO(newline="")
    FORMATS[suffix](iter(rows), file, LABELS)
    return file.getvalue()


def test_json_and_its_lines_hold_each_row_as_it_is():
    assert json.loads(text_of(".json", ROWS)) == ROWS
    assert [json.loads(line) for line in text_of(".jsonl", ROWS).splitlines()] == ROWS


def test_in_csv_no_name_label_or_reason_becomes_a_formula():
    header, *rows = csv.reader(io.StringIO(text_of(".csv", ROWS), newline=""))
    assert header == HEADER
    assert not [cell for row in rows for cell in row if cell.startswith(tuple("=+-@\t\r\n"))]
    expected = [f"'{name}" if name[0] in "=+-@\t" else name for name in HOSTILE]
    assert [row[0] for row in rows[: len(HOSTILE)]] == expected
    assert rows[0][1:] == ["Parasitized", "0.75", "0.75", "0.25", "", ""]
    assert rows[-4] == ["cells/b.png", "'=Uninfected", "0.6", "0.4", "0.6", "", ""]
    assert rows[-3] == ["c.png", "", "", "", "", "", "'=damaged\nhere"]
    assert rows[-2] == ["d.png", "review", "0.45", "0.45", "0.55", "", ""]
    unlike = "several cells or a whole field"
    assert rows[-1] == ["e.png", "unlike", "0.9", "0.9", "0.1", unlike, ""]


def test_of_no_rows_the_file_is_valid_too():
    assert (text_of(".json", []), text_of(".jsonl", [])) == ("[\n]\n", "")
    assert text_of(".csv", []) == f"{','.join(HEADER)}\r\n"
