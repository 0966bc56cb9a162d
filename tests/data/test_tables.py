"""Tests of malaria/data/tables.py and listing.py: tables as the spreadsheets of many write them."""

import unicodedata
from pathlib import Path

import pytest

from malaria.base.errors import UserError
from malaria.data import tables
from malaria.data.listing import Entry, Listing
from malaria.pictures.passed_over import PassedOver

ROWS = [("a.png", "Parasitized", "1"), ("b,c;d.png", "Uninfected", "Zoë")]


def text_of(separator, header=("path", "label", "patient"), end="\r\n"):
    quoted = [[f'"{cell}"' if set(cell) & set(",;\t") else cell for cell in row] for row in ROWS]
    return "".join(separator.join(row) + end for row in (header, *quoted))


def entries(folder, content, name="a.csv", **known):
    path = folder / name
    path.write_bytes(content)
    return [(one.path.name, one.label, one.patient) for one in Listing(path, **known)]


@pytest.mark.parametrize("separator", ",;\t|")
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"]
)
def test_a_table_is_read_with_any_separator_in_any_encoding(tmp_path, separator, encoding):
    assert entries(tmp_path, text_of(separator).encode(encoding)) == ROWS
    big = b"\xfe\xff" + text_of(separator).encode("utf-16-be")
    assert entries(tmp_path, big, "a.tsv") == ROWS


def test_a_text_that_begins_as_a_table_is_one_and_another_is_a_list(tmp_path):
    assert entries(tmp_path, text_of("\t").encode("utf-16"), "a.txt") == ROWS
    names = ['"b.png', "path,x.png", "image"]
    found = entries(tmp_path, "\r\n".join([*names, "# label"]).encode("utf-16"), "a.txt")
    assert [name for name, *_ in found] == names


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_line_before_the_header_may_name_the_separator_and_lines_may_end_in_any_way(
    tmp_path, end
):
    for first in ("sep=;", '"sep=;"', "SEP=;"):
        text = first + end + text_of(";", end=end)
        assert entries(tmp_path, text.encode("utf-8-sig")) == ROWS


@pytest.mark.parametrize(
    "header",
    [
        (" Path ", "LABEL", "Patient"),
        ("Filename", "class", "patient_id"),
        ("Image Path", "Category", "subject-ID"),
        ("file_name", "Diagnosis", "subject"),
        ('"image"', '"Class Name"', '"patient id "'),
    ],
)
def test_columns_have_the_usual_names_in_any_case(tmp_path, header):
    assert entries(tmp_path, text_of(";", header).encode()) == ROWS


def test_our_own_names_come_before_others(tmp_path):
    content = b"image,path,class,label\nx.png,a.png,1,Uninfected\n"
    assert entries(tmp_path, content) == [("a.png", "Uninfected", None)]


def test_cells_may_be_quoted_with_separators_quotes_and_lines_in_them(tmp_path):
    content = b'path,"notes\n(ours)",label\r\n"a, ""b"".png","x\r\ny", Uninfected \r\n'
    assert entries(tmp_path, content) == [('a, "b".png', "Uninfected", None)]


def test_a_table_without_a_path_names_the_columns_that_it_has_and_what_parts_them(tmp_path):
    with pytest.raises(UserError) as caught:
        entries(tmp_path, b"cell;kind\r\n1;2\r\n")
    assert str(caught.value) == (
        f"{tmp_path}/a.csv: expected a column 'path' in its first line (or file, filename, "
        "filepath, image, imagename, imagepath); found 'cell', 'kind', separated by semicolons"
    )
    with pytest.raises(UserError, match="found none, separated by commas"):
        entries(tmp_path, b"")


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.xlsx", b"x"), ("a.XLS", b""), ("a.ods", b"PK"), ("a.csv", b"PK\3\4x")],
)
def test_a_spreadsheet_is_named_as_such(tmp_path, name, content):
    with pytest.raises(UserError, match=r"a spreadsheet, no text: save it as CSV \(UTF-8\)$"):
        entries(tmp_path, content, name)


@pytest.mark.parametrize("named", [r"cells\a b.png", " cells/a b.png ", r".\cells\a b.png"])
def test_a_path_is_found_as_windows_writes_it_and_with_blanks(tmp_path, named):
    (tmp_path / "cells").mkdir()
    (tmp_path / "cells" / "a b.png").touch()
    (tmp_path / "a.csv").write_text(f"path\n{named}\n")
    assert [one.path for one in Listing(tmp_path / "a.csv")] == [tmp_path / "cells" / "a b.png"]


def test_a_name_with_a_backslash_that_is_there_is_taken_as_it_stands(tmp_path):
    (tmp_path / "x").mkdir()
    for name in ("x/a.png", r"x\a.png"):
        (tmp_path / name).touch()
    (tmp_path / "a.csv").write_text("path\nx\\a.png\n")
    assert [one.path.name for one in Listing(tmp_path / "a.csv")] == [r"x\a.png"]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_accents_are_found_however_the_table_writes_them(tmp_path, form):
    there = tmp_path / unicodedata.normalize(form, "Zoë.png")
    there.touch()
    for content in ("Zoë.png".encode("cp1252"), "Zoë.png".encode(), "Zoe\u0308.png".encode()):
        (tmp_path / "a.csv").write_bytes(b"path\n" + content)
        assert [one.path for one in Listing(tmp_path / "a.csv")] == [there]


def test_a_table_starts_from_itself_and_a_text_from_where_we_are(tmp_path, monkeypatch):
    for folder in (tmp_path, tmp_path / "here"):
        folder.mkdir(exist_ok=True)
        (folder / "a.png").touch()
    monkeypatch.chdir(tmp_path / "here")
    for name, found in (("a.csv", tmp_path / "a.png"), ("a.txt", Path("a.png"))):
        (tmp_path / name).write_text("path\na.png\n" if name == "a.csv" else "a.png\n")
        assert list(Listing(tmp_path / name)) == [Entry(found)]


def test_rows_that_name_no_image_are_counted_and_empty_ones_are_nothing(tmp_path):
    (tmp_path / "a.csv").write_text("path;label\na.png;x\n;y\n;;\n\n  ;z\n")
    passed_over = PassedOver()
    assert len(list(Listing(tmp_path / "a.csv").read(passed_over))) == 1
    assert [*passed_over.describe()] == ["passed over: 2 rows of a table that name no image"]


@pytest.mark.parametrize("line", ["\n", "#\n", ";;;\n", ";x\n"])
def test_a_list_of_empty_lines_is_given_up_before_they_take_minutes(tmp_path, monkeypatch, line):
    monkeypatch.setattr("malaria.data.listing.MOST_EMPTY", 50)
    name, first = ("a.csv", "path;label;x\n") if ";" in line else ("a.txt", "")
    (tmp_path / name).write_text(first + line * 49 + "a.png\n" + line * 49 + "b.png\n")
    assert len(list(Listing(tmp_path / name))) == 2
    (tmp_path / name).write_text(first + line * 50)
    with pytest.raises(UserError, match=f"{name}: 50 lines in turn that name no image$"):
        Listing(tmp_path / name)


def test_a_row_that_never_ends_does_not_fill_the_memory(tmp_path):
    (tmp_path / "a.csv").write_text('path\n"a' + 'x","y\n' * 30_000)
    with pytest.raises(UserError, match="is a quotation mark missing"):
        Listing(tmp_path / "a.csv")


def test_a_line_that_never_ends_is_refused_wherever_it_comes_from():
    for line in ("x" * 10**6, b"x" * 10**6):
        calls = iter([line[: tables.LONGEST]])
        with pytest.raises(UserError, match="stdin: a line of 65,536 characters or more"):
            list(tables.lines_of(lambda count, calls=calls: next(calls), "stdin"))
