"""Images whose label the networks that never saw them contradict."""

import csv

import numpy as np
import pytest
from malaria.data.loading import find_excluded, load_data

from malaria.base.errors import UserError
from malaria.data.dataset import scan_folder
from malaria.evaluation.label_errors import find_suspects, write_suspects
from malaria.training.config import Config

LABELS = ("Parasitized", "Uninfected")


def two(*probabilities):
    """Rows for the probabilities of label 0."""
    return np.array([[p, 1 - p] for p in probabilities])


def test_a_contradicted_label_is_suspected_and_a_doubtful_one_is_not():
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    probabilities = two(0.9, 0.95, 0.02, 0.45, 0.1, 0.05, 0.97, 0.4)
    suspected, likelier = find_suspects(labels, probabilities)
    assert suspected.tolist() == [2, 6]
    assert likelier.tolist() == [1, 0]


def test_the_least_probable_label_comes_first():
    labels = np.array([0, 0, 0, 0, 0, 1, 1, 1])
    suspected, _ = find_suspects(labels, two(0.2, 0.9, 0.01, 0.1, 0.95, 0.4, 0.3, 0.2))
    assert suspected.tolist() == [2, 3, 0]


def test_of_several_other_labels_the_likeliest_is_named():
    labels = np.array([0, 0, 1, 1, 2, 2])
    sure = [[0.8, 0.1, 0.1], [0.05, 0.35, 0.6], [0.1, 0.8, 0.1]]
    more = [[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.2, 0.5, 0.3]]
    suspected, likelier = find_suspects(labels, np.array([sure[0], sure[1], sure[2], *more]))
    assert (suspected.tolist(), likelier.tolist()) == ([1, 3, 5], [2, 0, 1])


def test_a_label_that_the_network_finds_likeliest_is_never_suspected():
    labels = np.array([0, 0, 1, 1, 2, 2])
    rows = [[0.60, 0.35, 0.05], [0.2, 0.4, 0.4], [0.3, 0.34, 0.36], [0.3, 0.34, 0.36]]
    rows += [[0.3, 0.3, 0.4], [0.3, 0.3, 0.4]]
    suspected, _ = find_suspects(labels, np.array(rows))
    assert 0 not in suspected


@pytest.fixture
def found(write_cells, tmp_path):
    """(folder of cells, their samples, folder of results) with the third image suspected."""
    folder = write_cells(patients=(1, 2), count=2)
    samples = scan_folder(folder, LABELS, r"^C(\d+)")
    probabilities = two(0.9, 0.9, 0.03, 0.9, 0.1, 0.1, 0.1, 0.1)
    out = tmp_path / "out"
    count = write_suspects(
        out, samples, probabilities, source=folder, names=LABELS, positive="Parasitized"
    )
    assert count == 1
    return folder, samples, out


def test_the_table_names_the_file_its_label_and_the_likelier_one(found):
    _, samples, out = found
    with open(out / "label_errors.csv", newline="") as file:
        [row] = csv.DictReader(file)
    assert row == {
        "path": f"Parasitized/{samples[2].path.name}",
        "patient": samples[2].patient,
        "label": "Parasitized",
        "likelier": "Uninfected",
        "probability of label": "0.03",
        "probability of likelier": "0.97",
    }


def test_the_page_shows_the_picture_with_both_labels(found):
    _, samples, out = found
    text = (out / "label_errors.html").read_text()
    assert samples[2].path.name in text
    assert samples[3].path.name not in text
    assert text.count("data:image/jpeg") == 1
    assert "<h1>Suspected labels: 1</h1>" in text
    # Shares of what was chosen for being suspected would mislead.
    assert "95% interval" not in text


def test_the_table_is_what_the_setting_exclude_takes(found):
    folder, samples, out = found
    assert find_excluded(samples, out / "label_errors.csv", folder) == ({samples[2].path}, 1)


def test_paths_as_other_tables_write_them_are_taken_too(found, tmp_path):
    folder, samples, _ = found
    listing = tmp_path / "mine.csv"
    listing.write_text(f"path,why\n{samples[1].path},blurred\n{folder / 'gone.png'},\n")
    assert find_excluded(samples, listing, folder) == ({samples[1].path}, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file\na.png\n", "expected a column 'path'"),
        ("path\nother/a.png\n", "none of the 1 files .* received other/a.png"),
    ],
)
def test_a_list_that_excludes_nothing_is_refused(found, tmp_path, text, message):
    folder, samples, _ = found
    listing = tmp_path / "mine.csv"
    listing.write_text(text)
    with pytest.raises(UserError, match=message):
        find_excluded(samples, listing, folder)


def test_a_missing_list_is_refused(found):
    folder, samples, out = found
    with pytest.raises(UserError, match=r"cannot read .*gone.csv: No such file"):
        find_excluded(samples, out / "gone.csv", folder)


def test_a_list_of_nothing_excludes_nothing(found, tmp_path):
    folder, samples, _ = found
    listing = tmp_path / "mine.csv"
    listing.write_text("path\n")
    assert find_excluded(samples, listing, folder) == (set(), 0)


def test_a_list_that_a_spreadsheet_saved_is_taken(found, tmp_path):
    folder, samples, _ = found
    listing = tmp_path / "mine.csv"
    listing.write_bytes(f"path\r\n{samples[1].path}\r\n".encode("utf-8-sig"))
    assert find_excluded(samples, listing, folder) == ({samples[1].path}, 1)


def test_a_list_that_leaves_a_label_without_training_images_is_refused(write_cells, tmp_path):
    folder = write_cells(patients=(1, 2, 3, 4))
    samples = scan_folder(folder, LABELS, r"^C(\d+)")
    listing = tmp_path / "mine.csv"
    listing.write_text("path\n" + "".join(f"{one.path}\n" for one in samples if one.label == 0))
    config = Config(
        train_images=str(folder),
        output_models=str(tmp_path / "models"),
        image_size=(50, 50),
        exclude=str(listing),
    )
    with pytest.raises(UserError, match="exclude: leaves no training images of a label"):
        load_data(config)
