"""Tests of malaria/labelling/join_tables.py: two people's labels in one table."""

import pytest
from test_label_table import row

from malaria.base.errors import UserError
from malaria.labelling.join_tables import describe_agreement, join_tables
from malaria.labelling.label_table import read_labels, write_labels

P, U, X = "Parasitized", "Uninfected", "no red cell"


def test_kappa_is_that_computed_by_hand():
    # Of 50: 20 both P, 15 both U, 5 P and U, 10 U and P. Agree .7; by chance .5 (.5 .6 + .5 .4).
    pairs = [(P, P)] * 20 + [(U, U)] * 15 + [(P, U)] * 5 + [(U, P)] * 10
    told = describe_agreement(pairs)
    assert "50 cells were labelled by both, and 15 of them differently" in told
    assert "Cohen's kappa 0.400 " in told
    assert "not defined" in describe_agreement([(P, P)] * 3)
    assert "nothing to compare" in describe_agreement([])


def test_what_two_call_differently_has_no_label_and_nothing_else_is_lost(tmp_path):
    ana = [row(tmp_path / f"{n}.png", label=label) for n, label in enumerate([P, P, "", X])]
    ben = [row(tmp_path / f"{n}.png", label=label)._replace(who="Ben", when="2027")
           for n, label in enumerate([P, U, U, ""])]  # fmt: skip
    ben.append(row(tmp_path / "only.png", why="doubt", stands_for=None)._replace(who="Ben"))
    write_labels(tmp_path / "ana.csv", ana)
    write_labels(tmp_path / "sub" / "ben.csv", ben)
    output = tmp_path / "both" / "both.csv"
    told = join_tables(tmp_path / "ana.csv", tmp_path / "sub" / "ben.csv", output)
    rows = {one.path.name: one for one in read_labels(output).values()}
    labels = {name: one.label for name, one in rows.items()}
    assert labels == {"0.png": P, "1.png": "", "2.png": U, "3.png": X, "only.png": P}
    assert [rows[name].who for name in sorted(rows)] == ["Ana and Ben"] * 2 + ["Ben", "Ana", "Ben"]
    assert rows["1.png"].path == tmp_path / "1.png"
    assert "2 cells were labelled by both, and 1 of them differently" in told
    before = output.read_bytes()
    with pytest.raises(UserError, match=r"both\.csv exists already"):
        join_tables(tmp_path / "ana.csv", tmp_path / "ana.csv", output)
    assert output.read_bytes() == before
