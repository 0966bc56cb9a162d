"""Tests of malaria/data/exclusion.py."""

import pytest

from malaria.base.errors import UserError
from malaria.data.dataset import LABELS, PATIENT_PATTERN, scan_folder
from malaria.data.exclusion import Exclusion, read_exclusion


@pytest.fixture
def folder(write_cells):
    return write_cells()


@pytest.fixture
def samples(folder):
    return scan_folder(folder, LABELS, PATIENT_PATTERN)


@pytest.fixture
def listing(tmp_path):
    return tmp_path / "mine.csv"


@pytest.mark.parametrize(
    ("text", "listed"),
    [
        ("path\nParasitized/{name}\n", 1),
        ("path,why\n{folder}/Parasitized/{name},blurred\n{folder}/gone.png,\n", 2),
        ("\ufeffpath\r\n{folder}/Parasitized/{name}\r\n", 1),
        ("path\n./cells/Parasitized/{name}\ncells/Parasitized/{name}\n", 2),
        ("sep=;\nwhy;File Name\nblurred;cells\\Parasitized\\{name}\n", 1),
    ],
    ids=[
        "relative to the folder",
        "as other tables write them",
        "a spreadsheet's",
        "from here",
        "from a German Excel",
    ],
)
def test_listed_paths_are_found(folder, samples, listing, monkeypatch, text, listed):
    monkeypatch.chdir(listing.parent)
    text = text.format(name=samples[2].path.name, folder=folder)
    listing.write_bytes(text.encode("utf-8"))
    expected = Exclusion(frozenset({samples[2].path}), str(listing), listed)
    assert read_exclusion(str(listing), samples, folder) == expected


def test_a_name_that_a_spreadsheet_would_compute_is_found_by_its_text(folder, listing):
    (folder / "Parasitized" / "=1+1.png").touch()
    samples = scan_folder(folder, LABELS, PATIENT_PATTERN)
    listing.write_text("path\n'=1+1.png\n")
    found = read_exclusion(str(listing), samples, folder / "Parasitized")
    assert found.paths == {folder / "Parasitized" / "=1+1.png"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"cannot read .*mine.csv: No such file"),
        ("kind\na.png\n", "expected a column 'path'"),
        ("", "expected a column 'path'"),
        ("path\nother/a.png\n", "none of the 1 files .* received other/a.png"),
        ("path\n\x1b[2J\n", r"received \\x1b\[2J$"),
        ("path\n" + "x" * 999, r"received x{197}\.\.\.$"),
    ],
    ids=["missing", "another column", "empty", "another folder", "a sequence", "a long name"],
)
def test_a_list_that_excludes_nothing_is_refused(folder, samples, listing, text, message):
    if text is not None:
        listing.write_text(text)
    with pytest.raises(UserError, match=message):
        read_exclusion(str(listing), samples, folder)


def test_a_list_of_nothing_and_no_list_exclude_nothing(folder, samples, listing):
    listing.write_text("path\n")
    for name in (str(listing), None):
        assert read_exclusion(name, samples, folder) == Exclusion(frozenset(), name, 0)
