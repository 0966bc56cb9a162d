"""Tests of malaria/outputs/label_error_page.py."""

import csv

import numpy as np
import pytest

from malaria.data.dataset import LABELS, PATIENT_PATTERN, scan_folder
from malaria.data.exclusion import read_exclusion
from malaria.evaluation.result import Result
from malaria.outputs.label_error_page import write_label_errors


@pytest.fixture
def found(write_cells, tmp_path):
    """(folder of cells, their samples, folder of results) with the third image suspected."""
    folder = write_cells(patients=(1, 2), count=2)
    samples = scan_folder(folder, LABELS, PATIENT_PATTERN)
    first = np.array([0.9, 0.9, 0.03, 0.9, 0.1, 0.1, 0.1, 0.1])
    probabilities = np.stack([first, 1 - first], axis=1)
    out = tmp_path / "out"
    labels, paths = np.array([one.label for one in samples]), [str(one.path) for one in samples]
    result = Result(paths, labels, probabilities, LABELS, "Parasitized", 0.5)
    assert write_label_errors(out, samples, result, source=folder) == 1
    return folder, samples, out


def test_the_table_names_the_file_its_label_and_the_likelier_one_and_is_what_exclude_takes(found):
    folder, samples, out = found
    with open(out / "label_errors.csv", newline="", encoding="utf-8-sig") as file:
        [row] = csv.DictReader(file)
    assert row == {
        "path": f"Parasitized/{samples[2].path.name}",
        "patient": samples[2].patient,
        "label": "Parasitized",
        "likelier": "Uninfected",
        "probability of label": "0.03",
        "probability of likelier": "0.97",
    }
    exclusion = read_exclusion(str(out / "label_errors.csv"), samples, folder)
    assert (exclusion.paths, exclusion.listed) == ({samples[2].path}, 1)


def test_the_page_shows_the_picture_with_both_labels(found):
    _, samples, out = found
    text = (out / "label_errors.html").read_text()
    assert samples[2].path.name in text
    assert samples[3].path.name not in text
    assert text.count("data:image/jpeg") == 1
    assert "<h1>Suspected labels: 1</h1>" in text
    # Shares of what was chosen for being suspected would mislead.
    assert "95% interval" not in text
