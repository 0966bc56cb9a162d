"""run.py --calibrate from the shell: a new pair, with honest figures."""

import json

import pytest

from malaria.base.errors import UserError
from malaria.cli.run import main
from malaria.data.drawn_cells import write_cells
from malaria.inference.load_classifier import load_classifier


def test_a_folder_of_labelled_cells_makes_a_new_pair_that_decides_by_its_threshold(
    tmp_path, capsys
):
    write_cells(tmp_path / "cells", 60, seed=1, patients=6)
    known = [f"--calibrate={tmp_path / 'cells'}", f"--save={tmp_path / 'own.h5'}"]
    assert main([*known, "--threshold=sensitivity>=0.9"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("120 images: threshold ")
    assert "after, by patients" in captured.out
    own, pretrained = load_classifier(tmp_path / "own.h5"), load_classifier()
    assert own.metadata.temperature != pretrained.metadata.temperature == 1
    record = json.loads((tmp_path / "own.json").read_text())["malaria"]
    assert record["calibration"]["images"] == 120
    assert record["calibration"]["after"]["accuracy"]["value"] > 0.5
    # What is known of its training stays with it.
    assert record["config"] == pretrained.metadata.details["config"]
    with pytest.raises(UserError, match="exists already"):
        main(known)


def test_too_few_cells_leave_nothing_behind(tmp_path):
    write_cells(tmp_path / "cells", 20, seed=1)
    with pytest.raises(UserError, match="at least 100 labelled cells; received 40"):
        main([f"--calibrate={tmp_path / 'cells'}", f"--save={tmp_path / 'own.h5'}"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cells"]
