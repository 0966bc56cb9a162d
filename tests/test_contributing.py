"""The four additions of CONTRIBUTING.md, done in a copy as a newcomer would do them."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from malaria.data.drawn_cells import write_cells

TOP = Path(__file__).parents[1]
TEXT = (TOP / "CONTRIBUTING.md").read_text(encoding="utf-8")
# (what to do, code) of every recipe: "After `x` in `file`:" and the block below it.
RECIPES = re.findall(
    r"^((?:A new|After|Before|At)[^\n]*`:)\n\n```python\n(.*?)```", TEXT, re.M | re.S
)
# Prints the deviation of images without and with the new augmentation.
DEVIATIONS = """
import numpy as np
from malaria.augmentation.augment import augment
from malaria.settings.config import Augmentation
images = np.full((8, 32, 32, 3), 128, np.uint8)
for amount in (0, 0.1):
    amounts = Augmentation(noise=amount).model_dump()
    print(np.asarray(augment(images, amounts, seed=[1, 2])).std())
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the checkout in which every recipe was followed, with drawn cells."""
    copy = tmp_path_factory.mktemp("copy")
    shutil.copytree(TOP / "malaria", copy / "malaria")
    for name in ("train.py", "run.py", "config.yaml"):
        shutil.copy(TOP / name, copy)
    assert len(RECIPES) == 7
    for where, code in RECIPES:
        follow(copy, where, code)
    write_cells(copy / "cells", 12, seed=1, patients=4)
    return copy


def follow(copy, where, code):
    """Put the code of a recipe into the copy, where its sentence says."""
    *after, name = re.findall(r"`([^`]+)`", where)
    path = copy / name
    if where.startswith("A new file"):
        assert not path.exists()
        path.write_text(code, encoding="utf-8")
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    place = len(lines)
    if after:
        [place] = [number for number, line in enumerate(lines) if line.startswith(after[0])]
        place += 0 if where.startswith("Before") else 1 + skipped(lines[place:], where)
    # A function or class of its own stands two lines apart from its neighbours.
    if where.startswith("At the end"):
        code = f"\n\n{code}"
    elif where.startswith("Before"):
        code = f"{code}\n\n"
    lines.insert(place, code)
    path.write_text("".join(lines), encoding="utf-8")


def skipped(lines, where):
    """How many of the lines after the first belong to it: a docstring, or up to a bracket."""
    if "docstring" in where:
        return 2
    if "and its lines" in where:
        return next((n for n, line in enumerate(lines) if line.startswith("    )")), 0)
    return 0


def run(copy, *arguments):
    return subprocess.run(
        [sys.executable, *arguments], cwd=copy, capture_output=True, text=True, check=False
    )


def succeed(copy, *arguments):
    result = run(copy, *arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def trained(copy):
    """The saved .json of a network, an augmentation and a setting that CONTRIBUTING.md adds."""
    changes = {
        "train_images": "cells", "model": "tiny", "image_size": "[16,16]", "epochs": 1,
        "augmentation": "{noise: 0.1}", "note": "a first try", "test_size": 0.5,
        "guard": "false", "plot_training_data": "false",
    }  # fmt: skip
    options = [f"--set={key}={value}" for key, value in changes.items()]
    succeed(copy, "train.py", *options)
    [path] = (copy / "models").glob("*.json")
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_network_the_augmentation_and_the_setting_are_saved(trained):
    names = [layer["config"]["name"] for layer in trained["config"]["layers"]]
    assert names == ["image", "conv", "maximum", "probability"]
    config = trained["malaria"]["config"]
    assert config["augmentation"]["noise"] == 0.1
    assert (config["model"], config["note"]) == ("tiny", "a first try")


def test_the_augmentation_changes_images_by_as_much_as_its_setting_says(copy):
    deviations = [float(line) for line in succeed(copy, "-c", DEVIATIONS).split()]
    assert deviations == pytest.approx([0, 0.1], abs=0.005)


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("train.py --set=train_images=cells --set=augmentation.noise=2",
         "--set: augmentation.noise: expected less than or equal to 1; received 2"),
        ("run.py --model=none --image=none --output=cells.xyz",
         "argument --output: expected a name ending in .tsv or .csv or .json or .jsonl or "
         ".geojson or .coco.json; received cells.xyz; see run.py --help"),
    ],
)  # fmt: skip
def test_a_wrong_value_of_what_is_new_is_refused_before_any_work_is_done(copy, command, line):
    result = run(copy, *command.split())
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == f"error: {line}\n"


def test_the_setting_is_in_the_help_and_in_the_printed_config(copy):
    told = run(copy, "train.py", "--print_config").stdout
    assert re.search(r"^note: null +# a remark, kept with the settings in the", told, re.M)
    assert re.search(r"^  noise: 0\.0 +# deviation, at most, of random noise", told, re.M)
    assert re.search(r"^model: vgg +# tiny: an example; vgg: ", told, re.M)
    assert {"note", "augmentation.noise"} <= set(
        re.split(r"[,\s]+", run(copy, "train.py", "--help").stdout)
    )


def test_the_network_classifies_and_the_output_format_is_written(copy, trained):
    printed = succeed(copy, "run.py", "--model=models", "--image=cells", "--output=cells.tsv")
    rows = [line.split("\t") for line in (copy / "cells.tsv").read_text().splitlines()]
    assert len(rows) == 24
    assert [row[0] for row in rows] == [row.split("\t")[0] for row in printed.splitlines()]
