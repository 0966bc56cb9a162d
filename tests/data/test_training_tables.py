"""Tests of malaria/data/training_tables.py, by way of training_folders.py: tables to train on."""

import pytest

from malaria.base.errors import UserError
from malaria.data.dataset import LABELS, PATIENT_PATTERN
from malaria.data.training_folders import TrainingFolder, find_problems
from malaria.pictures.passed_over import PassedOver

GOOD = "a.png,Parasitized\nb.png,Uninfected\n"


@pytest.fixture
def table(tmp_path):
    """A function that writes a table beside a.png, b.png and C7.png, as a TrainingFolder."""
    for name in ("a.png", "b.png", "C7.png"):
        (tmp_path / name).touch()

    def write(rows=GOOD, header="path,label", *, several=False):
        (tmp_path / "t.csv").write_text(f"{header}\n{rows}")
        return TrainingFolder(str(tmp_path / "t.csv"), "lab", PATIENT_PATTERN, several)

    return write


def scan(table):
    passed_over = PassedOver()
    samples = table.scan(LABELS, passed_over)
    return [(one.path.name, one.label, one.patient) for one in samples], passed_over


def test_samples_come_by_label_and_path_and_a_row_says_its_patient_before_the_name_does(table):
    rows = "b.png,Uninfected,5\na.png,Uninfected,\nC7.png,Parasitized,\n"
    found, passed_over = scan(table(rows, "path,label,patient"))
    assert found == [("C7.png", 0, "7"), ("a.png", 1, None), ("b.png", 1, "5")]
    assert [*passed_over.describe()] == []
    [_, _, last] = table(rows, "File;Class;Patient ID".replace(";", ","), several=True).scan(
        LABELS, PassedOver()
    )
    assert (last.source, last.patient) == ("lab", "lab:5")


def test_other_labels_are_counted_and_a_file_that_is_named_twice_is_one_sample(table):
    rows = "a.png,Unsure\nb.png,\nC7.png,Parasitized\n./C7.png,Parasitized\n"
    found, passed_over = scan(table(GOOD + rows))
    assert len(found) == 3
    assert [*passed_over.describe(LABELS)] == [
        "passed over: Unsure, 1 image: not among the labels",
        "passed over: 1 image without a label, in no folder or row that tells one",
        "named again, and counted once: 1 image",
    ]


def test_a_file_under_two_labels_is_a_contradiction_for_others_to_judge(table):
    assert [label for name, label, _ in scan(table(GOOD + "b.png,Parasitized\n"))[0]] == [0, 0, 1]


def test_a_file_of_two_patients_is_refused(table):
    with pytest.raises(UserError, match=r"a\.png is listed under two patients, '1' and '2'"):
        scan(table("a.png,Parasitized,1\na.png,Parasitized,2\n", "path,label,patient"))


def test_a_good_table_has_no_problems_and_rows_of_files_that_are_gone_do_not_count(table):
    assert find_problems([table()], LABELS, None) == {}
    assert find_problems([table("C7.png,Uninfected\n" + GOOD)], LABELS, 2) == {
        "train_size": "received 2 images per label, but there are only {'Parasitized': 1}"
    }
    assert find_problems([table("gone.png,Uninfected\n" + GOOD)], LABELS, 2) == {
        "train_size": "received 2 images per label, but there are only "
        "{'Parasitized': 1, 'Uninfected': 1}"
    }


@pytest.mark.parametrize(
    ("rows", "header", "key", "problem"),
    [
        (GOOD, "path,kind", "train_images", "{table}: expected a column 'label' in its first line "
         "(or class, classname, category, diagnosis); found 'path', 'kind', separated by commas"),
        ("", "path,label", "train_images",
         "no images are named in {table}: expected a path a line"),
        ("a.png,1\nb.png,0\nC7.png,0\n", "path,label", "labels", "no row of Parasitized, "
         "Uninfected in {table}; the labels there: '1' (1 rows), '0' (2 rows)"),
        ("a.png,Parasitized\nb.png,uninfected\n", "path,label", "labels", "no row of Uninfected in "
         "{table}; the labels there: 'Parasitized' (1 rows), 'uninfected' (1 rows); did you mean "
         "Uninfected?"),
        ("a.png,Parasitized\ngone.png,Uninfected\n", "path,label", "train_images", "no file of "
         "Uninfected that {table} names is there, such as gone.png"),
        (GOOD + "s3://b/c.png,Uninfected\n", "path,label", None, ""),
        ("s3://b/c.png,Uninfected\n", "path,label", "train_images", "{table}: expected files of "
         "this machine; received 's3://b/c.png'"),
    ],
)  # fmt: skip
def test_each_problem_of_a_table_names_its_setting(table, rows, header, key, problem):
    one = table(rows, header)
    found = find_problems([one], LABELS, None)
    assert found == ({key: problem.format(table=one.folder)} if key else {})


def test_what_is_no_folder_and_no_table_here_is_refused(tmp_path):
    def problem_of(folder):
        one = TrainingFolder(str(folder), "lab", PATIENT_PATTERN)
        return find_problems([one], LABELS, None)["train_images"]

    there = "expected a folder or a table of this machine; received 's3://b/t.csv'"
    assert problem_of("s3://b/t.csv") == there
    (tmp_path / "t.txt").touch()
    assert problem_of(tmp_path / "t.txt").startswith(
        "expected a folder, or a table, a .csv or .tsv;"
    )
    assert problem_of(tmp_path / "t.csv").endswith("t.csv: No such file or directory")
    (tmp_path / "t.xlsx").touch()
    assert "save it as CSV" in problem_of(tmp_path / "t.xlsx")


def test_of_several_a_table_may_lack_a_label_and_folders_may_be_called_like_tables(table, tmp_path):
    folder = tmp_path / "x.csv"
    for label in LABELS:
        (folder / label).mkdir(parents=True)
        (folder / label / "a.png").touch()
    other = TrainingFolder(str(folder), "x", PATIENT_PATTERN, is_one_of_several=True)
    one = table("a.png,Uninfected\n", several=True)
    assert find_problems([one, other], LABELS, None) == {}
    assert len(other.scan(LABELS, PassedOver())) == 2
    assert find_problems([table("a.png,x\n", several=True), other], LABELS, None).keys() == {
        "labels"
    }


def test_a_row_with_a_box_is_that_cell_of_its_field_and_its_field_is_its_patient(table):
    header = "path,left,top,width,height,label"
    rows = "a.png,5,2,10,12,Uninfected\nC7.png,1,2,3,4,Parasitized\na.png,0,1,9,9,Uninfected\n"
    samples = table(rows + "a.png,5,2,10,12,no red cell\n", header).scan(LABELS, PassedOver())
    found = [(str(one.path).rpartition("/")[2], one.patient) for one in samples]
    field = str(samples[1].path.field)
    assert found == [
        ("C7.png#xywh=1,2,3,4", "7"),
        ("a.png#xywh=0,1,9,9", field),
        ("a.png#xywh=5,2,10,12", field),
    ]


@pytest.mark.parametrize("sides", ["1,2,,4", "1,2,x,4", "1,2,0,4", "1,2,nan,4", "1,2,3,inf"])
def test_a_box_that_is_none_is_refused(table, sides):
    with pytest.raises(UserError, match="expected left, top, width and height of a cell, in pix"):
        scan(table(f"a.png,{sides},Uninfected\n", "path,left,top,width,height,label"))
